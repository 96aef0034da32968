import type postgres from 'postgres'
import { InnkeeperError } from '../errors.ts'
import { holding } from '../pg/begin.ts'
import { MIGRATION_LOCK, type MoveStore } from './store.ts'
import type { Move } from './types.ts'

export interface WithoutMoves {
  /** Who has moves that are only watched completed first; null where they stop the work as others do. */
  readonly completeBy: string | null
  /** Asks for the end of moves that are watched. */
  complete(id: string, by: string): Promise<unknown>
}

/**
 * Runs work while no move begins, and only where none is open. The lock is a transaction's own: it ends with the process
 * that holds it.
 *
 * @param work is given the moves that were completed for it
 * @throws InnkeeperError `conflict` where there is an open move, or another one of these runs
 */
export async function withoutMoves<T>(
  sql: postgres.Sql,
  store: MoveStore,
  { completeBy, complete }: WithoutMoves,
  work: (completed: readonly string[]) => Promise<T>,
): Promise<T> {
  return holding(sql, takeTurn, async () => {
    const open = await store.list({ open: true, limit: OPEN_MAX })
    const watched = open.filter((m) => m.state === 'watching' || m.state === 'completing')
    // Nothing is completed for the sake of work that is refused.
    if (completeBy === null || watched.length < open.length) refuse(open)
    for (const { id, state } of watched) if (state === 'watching') await complete(id, completeBy!)
    await ended(store)
    return work(watched.map((m) => m.id))
  })
}

const OPEN_MAX = 1_000
/** Rooms that were left are shut for a few seconds, then emptied, several at a time. */
const EMPTIED_MS = 120_000

/** Somebody has to be at work on them: without a control plane that runs moves none would ever end. */
async function ended(store: MoveStore): Promise<void> {
  const until = performance.now() + EMPTIED_MS
  for (;;) {
    const open = await store.list({ open: true, limit: OPEN_MAX })
    if (open.length === 0) return
    if (performance.now() > until) refuse(open)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

function refuse(open: readonly Move[]): void {
  if (open.length === 0) return
  const named = open.slice(0, 20).map((m) => `${m.tenantId} is ${m.state}, move ${m.id}`)
  throw new InnkeeperError('conflict', `${open.length} move(s) have not ended`, {
    details: [...named, ...(open.length > 20 ? ['and more'] : [])].join('; '),
    hint: 'Wait for them or abort them. Those that are watched can be completed first: innkeeper migrate --complete-moves.',
  })
}

const TURN_MS = 10_000

/** The server takes a moment to notice that a process which held the turn was killed. */
async function takeTurn(tx: postgres.TransactionSql): Promise<void> {
  const until = performance.now() + TURN_MS
  for (;;) {
    const [turn] = await tx<{ taken: boolean }[]>`select pg_try_advisory_xact_lock(${MIGRATION_LOCK}) as taken`
    if (turn!.taken) return
    if (performance.now() > until) {
      throw new InnkeeperError('conflict', 'A migration is running', { hint: 'Wait for it to end, then try again.' })
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
