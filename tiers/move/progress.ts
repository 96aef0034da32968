import { isDeepStrictEqual } from 'node:util'
import type { Lease, MoveStore } from './store.ts'
import type { MoveProgress } from './types.ts'

/** A move's progress as its work reports it, written down every now and then for those who follow it. */
export interface ProgressKeeper {
  readonly now: MoveProgress
  change(change: Partial<MoveProgress>): void
  /** Nothing is being written any more. To be awaited before a transition, which writes it too. */
  settled(): Promise<void>
}

const SAVE_MS = 500

export function keepProgress(store: MoveStore, lease: Lease, first: MoveProgress, onSaved: () => void): ProgressKeeper {
  let now = first
  let saved = first
  let savedAt = 0
  let saving: Promise<void> | null = null
  const save = () => {
    if (saving !== null || performance.now() - savedAt < SAVE_MS || isDeepStrictEqual(saved, now)) return
    saved = now
    savedAt = performance.now()
    saving = store
      .patch(lease, { progress: now })
      .then(onSaved)
      // The next transition says whether the move was lost to somebody else.
      .catch(() => {})
      .finally(() => {
        saving = null
      })
  }
  return {
    get now() {
      return now
    },
    change(change) {
      now = { ...now, ...change }
      save()
    },
    async settled() {
      await saving
    },
  }
}
