import type { RoomMaker } from '../rooms/maker.ts'
import { applicationNameOf, type Side } from './side.ts'

/**
 * Makes the move known at one end, at this generation, and ends what an earlier one left running there. Done at both ends
 * by whoever takes a move on, before anything else. Idempotent.
 *
 * @returns false where the database is not there: nothing was begun, or all is cleared
 */
export async function announce(maker: RoomMaker, side: Side): Promise<boolean> {
  const [found] = await maker.admin('postgres')`select from pg_database where datname = ${side.placement.database}`
  if (found === undefined) return false
  const client = await side.client()
  const mine = applicationNameOf(side.move, side.generation)
  // First those who could hold the row: a stopped process would hold it for ever.
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name like $1 and application_name <> $2 and datname = current_database()`,
    [`innkeeper-move-${side.move}-%`, mine],
  )
  await client.query(
    `insert into tenancy.moves (id, tenant_id, generation) values ($1, $2, $3)
     on conflict (id) do update set generation = excluded.generation where moves.generation <= excluded.generation`,
    [side.move, side.tenant, side.generation],
  )
  return true
}

/** Forgets the move at one end. A mover that still lives can do nothing there from now on. Idempotent. */
export async function forget(side: Side): Promise<void> {
  const client = await side.client()
  await client.query('delete from tenancy.moves where id = $1', [side.move])
}
