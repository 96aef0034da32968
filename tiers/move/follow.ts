import type { EventEmitter } from 'node:events'
import { isFinal, type MoveState } from './states.ts'
import type { Move } from './types.ts'

/** How moves are followed from outside: by what the runners of this process say, and by looking every now and then. */
export interface Following {
  events(id: string, signal?: AbortSignal): AsyncGenerator<Move>
  /** A state that lasts a moment may be missed: name those that follow it too. A move that has ended has reached all. */
  reached(id: string, ...states: MoveState[]): Promise<Move>
}

const FOLLOW_MS = 250

/** @param changes emits a move's id when it has changed */
export function followMoves(get: (id: string) => Promise<Move>, changes: EventEmitter): Following {
  const events = async function* (id: string, signal?: AbortSignal) {
    let last = ''
    for (;;) {
      // From before the look on: what changes while it is under way is looked at too.
      const changed = nextChange(changes, id)
      const move = await get(id)
      const seen = JSON.stringify([move.state, move.progress, move.reason, move.attempts])
      if (seen !== last) yield move
      last = seen
      if (isFinal(move.state) || signal?.aborted) return
      await changed
    }
  }
  return {
    events,
    async reached(id, ...states) {
      for await (const move of events(id)) if (states.includes(move.state) || isFinal(move.state)) return move
      return get(id)
    },
  }
}

/** Another process may work on the move: then nothing is heard, and the time has to do. */
function nextChange(changes: EventEmitter, id: string): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      changes.off(id, end)
      resolve()
    }
    const timer = setTimeout(end, FOLLOW_MS)
    changes.on(id, end)
  })
}
