import type postgres from 'postgres'
import { InnkeeperError } from '../errors.ts'
import { MIGRATION_LOCK, type MoveStore } from './store.ts'

/**
 * Runs work while no move begins, and only where none is open. The lock is a connection's own: it ends with the process
 * that holds it.
 *
 * @throws InnkeeperError `conflict` where there is an open move, or another one of these runs
 */
export async function withoutMoves<T>(sql: postgres.Sql, store: MoveStore, work: () => Promise<T>): Promise<T> {
  const connection = await sql.reserve()
  try {
    await takeTurn(connection)
    try {
      const open = await store.list({ open: true, limit: 20 })
      if (open.length > 0) {
        throw new InnkeeperError('conflict', `${open.length} move(s) have not ended`, {
          details: open.map((m) => `${m.tenantId} is ${m.state}, move ${m.id}`).join('; '),
          hint: 'Complete moves that are watched, and wait for the others or abort them.',
        })
      }
      return await work()
    } finally {
      await connection`select pg_advisory_unlock(${MIGRATION_LOCK})`
    }
  } finally {
    connection.release()
  }
}

const TURN_MS = 10_000

/** The server takes a moment to notice that a process which held the turn was killed. */
async function takeTurn(connection: postgres.ReservedSql): Promise<void> {
  const until = performance.now() + TURN_MS
  for (;;) {
    const [turn] = await connection<{ taken: boolean }[]>`select pg_try_advisory_lock(${MIGRATION_LOCK}) as taken`
    if (turn!.taken) return
    if (performance.now() > until) {
      throw new InnkeeperError('conflict', 'A migration is running', { hint: 'Wait for it to end, then try again.' })
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
