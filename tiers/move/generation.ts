import { assertCurrent } from '../control/epochs.ts'
import type { RoomGuard, RoomMaker } from '../rooms/maker.ts'
import type { MoveContext } from './context.ts'
import { applicationNameOf, joinMove, type Side } from './side.ts'
import { type Lease, type MoveStore, Overtaken } from './store.ts'

/**
 * What keeps a mover that was thought dead from doing anything. Its data transactions hold its generation's row; what cannot
 * be done in such a transaction is done on the condition of {@link whileHeld}.
 */

export interface Held {
  readonly lease: Lease
  readonly store: MoveStore
  readonly leaseMs: number
}

export function heldBy({ lease, store, settings }: MoveContext): Held {
  return { lease, store, leaseMs: settings.leaseMs }
}

/** SQL that is true up to the moment that {@link whileHeld} handed to its work. */
export const BEFORE = `extract(epoch from clock_timestamp()) <`

/**
 * Does something that must not be done by a mover which another one has overtaken meanwhile, on a server that knows no
 * generations. The server's clock is read first, then the lease is extended: so up to that moment and the lease's length
 * nobody else can have the move. The work puts that moment into its statement, as a condition, and the server decides. A
 * process that is stopped in between, for however long, finds the moment past. Clocks need not agree, only go equally fast.
 *
 * @param clock the server's time in seconds, as text
 * @param work  given the moment, by the server's clock; false where the server found it past: then all begins anew
 * @throws Overtaken
 */
export async function whileHeld(
  { lease, store, leaseMs }: Held,
  clock: () => Promise<string>,
  work: (until: string) => Promise<boolean>,
): Promise<void> {
  for (;;) {
    const now = await clock()
    await store.extend(lease, leaseMs)
    if (await work(`${now} + ${leaseMs / 1000}`)) return
  }
}

export const SERVER_CLOCK = 'select extract(epoch from clock_timestamp())::text as now'

/** Whether the room's database is there with its books. A mover may have died between making the one and the other. */
export async function isThere(maker: RoomMaker, side: Side): Promise<boolean> {
  const [found] = await maker.admin('postgres')`select from pg_database where datname = ${side.placement.database}`
  if (found === undefined) return false
  const [books] = await (await side.client()).query<{ there: boolean }>(
    `select to_regclass('tenancy.moves') is not null as there`,
  )
  return books!.there
}

/**
 * A control database that was restored from a backup believes in moves that have long ended, and in homes that were left: what it
 * would have done now would be done to rooms that are in use.
 *
 * @throws InnkeeperError `conflict`
 */
export async function assertNotRestored(ctx: MoveContext): Promise<void> {
  for (const side of [ctx.source, ctx.target]) {
    const { cluster, database } = side.placement
    const mark = await ctx.makerOf(cluster).epochMark(database)
    await assertCurrent(ctx.sql, `${cluster}/${database}`, mark)
  }
}

/**
 * Makes the move known at one end, at this generation, and ends what earlier ones left running there. Done at both ends
 * by whoever takes a move on, before anything else. Idempotent.
 *
 * @returns false where the database is not there: nothing was begun, or all is cleared
 * @throws Overtaken where a later generation is known there, or the lease was lost: also after the move has ended
 */
export async function announce(maker: RoomMaker, side: Side, held: Held): Promise<boolean> {
  if (!(await isThere(maker, side))) return false
  const client = await side.client()
  // First those who could hold the row: a stopped process would hold it for ever. Never those of a later generation.
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name like $1 and datname = current_database()
       and substring(application_name from '[0-9]+$')::bigint < $2`,
    [applicationNameOf(side.move, 0).replace(/0$/, '%'), side.generation],
  )
  const clock = async () => (await client.query<{ now: string }>(SERVER_CLOCK))[0]!.now
  await whileHeld(held, clock, async (until) => {
    const raised = await client.query(
      `insert into tenancy.moves (id, tenant_id, generation) select $1, $2, $3 where ${BEFORE} ${until}
       on conflict (id) do update set generation = excluded.generation where moves.generation <= excluded.generation
       returning id`,
      [side.move, side.tenant, side.generation],
    )
    if (raised.length > 0) return true
    await assertNotOvertaken(side)
    return false
  })
  return true
}

/**
 * For the making of the target. A database cannot be made in a transaction that knows a generation: one that was made by a
 * mover whose move had ended meanwhile is removed again, where nobody has begun anything in it.
 */
export function guardOf(ctx: MoveContext): RoomGuard {
  const { target } = ctx
  const maker = ctx.makerOf(target.placement.cluster)
  return {
    begin: joinMove(target),
    async databaseReady(isNew) {
      await ctx.hook('room_made')
      try {
        await announce(maker, target, heldBy(ctx))
      } catch (error) {
        if (isNew && error instanceof Overtaken) await removeUnused(maker, target)
        throw error
      }
    },
  }
}

async function removeUnused(maker: RoomMaker, side: Side): Promise<void> {
  const used = await (await side.client()).query('select from tenancy.moves union all select from tenancy.fence')
  await side.close()
  if (used.length === 0) await maker.removeRoom(side.tenant, side.placement)
}

/** Forgets the move at one end. A mover that still lives can do nothing there from now on. Idempotent. @throws Overtaken */
export async function forget(side: Side): Promise<void> {
  const client = await side.client()
  await client.query('delete from tenancy.moves where id = $1 and generation <= $2', [side.move, side.generation])
  await assertNotOvertaken(side)
}

async function assertNotOvertaken(side: Side): Promise<void> {
  const client = await side.client()
  const later = await client.query('select from tenancy.moves where id = $1 and generation > $2', [
    side.move,
    side.generation,
  ])
  if (later.length > 0) throw new Overtaken()
}
