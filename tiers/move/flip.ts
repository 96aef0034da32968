import type postgres from 'postgres'
import type { MoveState } from './states.ts'
import { type Lease, Overtaken } from './store.ts'
import type { Home } from './types.ts'

export interface Flip {
  /** The states of the move before and after. */
  readonly from: MoveState
  readonly to: MoveState
  readonly home: Home
  /** Which of the two homes in the move's row it is. */
  readonly end: 'origin' | 'destination'
  readonly pauseMs: number
}

export interface FlipLinks {
  readonly sql: postgres.Sql
  /** One connection, so that what was rehearsed on it is done on it. */
  readonly flips: postgres.Sql
}

/**
 * The point of no return: the directory and the move's state change in one transaction, on the condition that the move is
 * still in that state and still this runner's, and that the epoch is the one that was last written down: a flip whose answer
 * was lost may reach the server when the next attempt has begun already. Before it the tenant lives at the source, after it at the target; whoever
 * finds the move later reads from its state which of the two it is.
 *
 * An answer that was lost is asked for again until the control database says which it was. Until then nothing is reopened.
 *
 * @throws Overtaken when the compare-and-set failed: nothing was changed
 */
export async function flip({ sql, flips }: FlipLinks, lease: Lease, change: Flip): Promise<void> {
  for (;;) {
    try {
      await attempt(flips, lease, change)
      return
    } catch (error) {
      if (error instanceof Overtaken || !isLost(error)) throw error
      if ((await outcome(sql, lease, change)) === 'flipped') return
    }
  }
}

/**
 * Does what {@link flip} will do, while nobody waits, and undoes it: a flip that would be refused is known before the tenant
 * is shut out; and the server's process has planned the statement then and compiled the directory's triggers, which is most
 * of what it takes. Whatever else goes wrong is the flip's to meet. A mover that stands still just then keeps the directory
 * shut to others for a second and no longer.
 *
 * @throws Overtaken as the flip would; the server's own error, where the directory refuses it
 */
export async function rehearse(flips: postgres.Sql, lease: Lease, change: Flip): Promise<void> {
  try {
    await flips.begin(async (tx) => {
      await tx`set local idle_in_transaction_session_timeout = 1000`
      await attempt(tx as unknown as postgres.Sql, lease, change)
      throw new Undone()
    })
  } catch (error) {
    const isRefused = (error as { code?: string }).code?.startsWith('IK') ?? false
    if (error instanceof Overtaken || isRefused) throw error
  }
}

class Undone extends Error {}

/** One statement, so one transaction and one round trip, because the tenant's requests are waiting for it. */
async function attempt(sql: postgres.Sql, { id, owner, generation }: Lease, change: Flip): Promise<void> {
  const { placement, tier, region } = change.home
  const rows = await sql`
    with moved as (
      update moves m set state = ${change.to}, pause_ms = ${change.pauseMs}, updated_at = now(),
        certificate = coalesce(certificate, '{}') || jsonb_build_object('flippedAt', clock_timestamp())
      where m.id = ${id} and m.state = ${change.from} and m.lease_owner = ${owner} and m.generation = ${generation}
        and (m.${sql(change.end)}->'placement'->>'epoch')::bigint = ${placement.epoch}
        and exists (select from placements p where p.tenant_id = m.tenant_id and p.epoch < ${placement.epoch})
      returning m.tenant_id
    ), placed as (
      update placements set cluster = ${placement.cluster}, database = ${placement.database}, schema = ${placement.schema},
        isolation = ${placement.isolation}, epoch = ${placement.epoch}
      where tenant_id = (select tenant_id from moved) returning tenant_id
    )
    update tenants set tier = ${tier}, region = ${region} where id = (select tenant_id from placed) returning id`
  if (rows.length === 0) throw new Overtaken()
}

/** An error of the server's own has a five-letter SQLSTATE: then nothing was committed. Everything else is a lost answer. */
function isLost(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? ''
  return !/^[0-9A-Z]{5}$/.test(code) || code.startsWith('57P') || code.startsWith('08')
}

async function outcome(sql: postgres.Sql, { id }: Lease, change: Flip): Promise<'flipped' | 'open'> {
  for (let waitMs = 10; ; waitMs = Math.min(waitMs * 2, 500)) {
    try {
      // FOR UPDATE waits for a commit that is still under way.
      const [row] = await sql<{ state: MoveState; epoch: number }[]>`
        select m.state, p.epoch::float8 as epoch from moves m join placements p on p.tenant_id = m.tenant_id
        where m.id = ${id} for update of m`
      return Number(row?.epoch) === change.home.placement.epoch ? 'flipped' : 'open'
    } catch {
      // Not to be given up: only the control database knows where the tenant lives now.
      await new Promise((resolve) => setTimeout(resolve, waitMs))
    }
  }
}
