import type { LoadingCache } from '../cache/loading-cache.ts'
import { isInnkeeperError } from '../errors.ts'
import type { TiersObserver } from '../telemetry.ts'
import type { Tenant, TenantId } from '../types.ts'
import type { Left, Snapshot, SnapshotEntry } from './snapshot.ts'

export interface PersistOptions {
  readonly snapshot: Snapshot
  readonly ids: LoadingCache<Tenant>
  readonly slugs: LoadingCache<Tenant>
  readonly domains: LoadingCache<TenantId>
  readonly everyMs: number
  readonly observer: TiersObserver
}

export interface Persistence {
  /** Entries that an earlier process left. */
  readonly restored: number
  /** Why what was there is not believed; null where it is. */
  readonly restoreFault: string | null
  /** Writes once more what has been learnt. */
  close(): Promise<void>
}

/**
 * Fills the caches with what an earlier process knew, and keeps what they learn on disk, in the background. What is
 * restored is as old as it was, and never fresh: it serves only while the control database cannot be asked.
 */
export function persistDirectory(options: PersistOptions): Persistence {
  const { snapshot, ids, slugs, domains, everyMs, observer } = options
  const caches = [ids, slugs, domains]
  const learntOf = () => caches.reduce((sum, cache) => sum + cache.stores, 0)
  const failed = () => observer.count('directory.persist', 1, { ok: false })

  let restoreFault: string | null = null
  const restored = restore()
  // What an older key sealed is sealed anew soon, though nothing more were learnt.
  let learnt = restored.isCurrent ? learntOf() : -1
  let writing: Promise<void> | null = null

  function restore(): Left {
    let left: Left = { entries: [], isCurrent: true }
    try {
      left = snapshot.read()
    } catch (error) {
      // As good as none: the gateway starts, and asks the control database.
      restoreFault = messageOf(error)
      failed()
    }
    const { entries } = left
    for (const entry of entries) {
      if ('domain' in entry) domains.restore(`domain:${entry.domain}`, entry.id, entry.loadedAtMs)
      else {
        const tenant = Object.freeze({ ...entry.tenant, placement: Object.freeze(entry.tenant.placement) })
        ids.restore(`id:${tenant.id}`, tenant, entry.loadedAtMs)
        slugs.restore(`slug:${tenant.slug}`, tenant, entry.loadedAtMs)
      }
    }
    return left
  }

  function write(): Promise<void> {
    if (writing !== null || learntOf() === learnt) return writing ?? Promise.resolve()
    learnt = learntOf()
    writing = snapshot
      .write(entriesOf(options))
      .then(() => observer.count('directory.persist', 1, { ok: true }), failed)
      .finally(() => {
        writing = null
      })
    return writing
  }

  const timer = setInterval(write, everyMs)
  timer.unref()
  return {
    restored: restored.entries.length,
    restoreFault,
    async close() {
      clearInterval(timer)
      await writing
      await write()
    },
  }
}

/** Each tenant once, as it was read last. */
function* entriesOf({ ids, slugs, domains }: PersistOptions): Generator<SnapshotEntry> {
  for (const [, tenant, loadedAtMs] of ids.held()) yield { tenant, loadedAtMs }
  for (const [, tenant, loadedAtMs] of slugs.held()) {
    if (!ids.has(`id:${tenant.id}`)) yield { tenant, loadedAtMs }
  }
  for (const [key, id, loadedAtMs] of domains.held()) yield { domain: key.slice('domain:'.length), id, loadedAtMs }
}

function messageOf(error: unknown): string {
  return isInnkeeperError(error) && error.hint !== undefined ? `${error.message}. ${error.hint}` : String(error)
}
