import { INSIDE_LOCK } from '../tenancy/roles.ts'
import { beginBooks, type Side } from './side.ts'

/** PostgreSQL's codes for a lock that did not come in time. */
const LOCK_TIMEOUT = '55P03'

/** A transaction of the tenant's outlived the bound: the attempt gives way, not the transaction. */
export class Undrained extends Error {
  constructor(boundMs: number) {
    super(`a transaction of the tenant's ran for longer than the ${boundMs} ms that its end was waited for`)
    this.name = 'Undrained'
  }
}

export interface FenceChange {
  readonly state?: 'open' | 'fenced'
  readonly capture?: boolean
  /** An epoch that is about to be used elsewhere: the tenant's home knows of it, whatever becomes of the attempt. */
  readonly heard?: number
}

/**
 * Changes the fence while nobody is inside: waits for the tenant's transactions to end, keeps new ones out meanwhile, and
 * commits. What comes after has a snapshot that holds all that was ever committed before it.
 *
 * @throws Undrained when a transaction outlives the bound; nothing was changed then
 */
export async function changeFence(side: Side, change: FenceChange, boundMs: number): Promise<void> {
  const client = await side.client()
  await drained(boundMs, () => client.atomically(fencing(side, change, boundMs)))
}

/** What {@link changeFence} sends, from BEGIN to COMMIT, for whoever has more to ask in the same round trip. */
export function fencing(side: Side, change: FenceChange, boundMs: number): string {
  const state = change.state === undefined ? 'null' : `'${change.state}'`
  const capture = change.capture ?? 'null'
  // The commit waits for replicas where the server is set up so, whatever the session's default is.
  return `${beginBooks(side)}
    set local synchronous_commit = on;
    set local lock_timeout = ${Math.max(1, Math.round(boundMs))};
    select pg_advisory_xact_lock(${INSIDE_LOCK}, uuid_hash('${side.tenant}'));
    select tenancy.set_fence('${side.tenant}', ${side.placement.epoch}, ${state}, ${capture});
    ${change.heard === undefined ? '' : raiseMark(change.heard)}
    commit`
}

/** @throws Undrained where the lock of {@link fencing} did not come in time */
export async function drained<T>(boundMs: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if ((error as { code?: string }).code === LOCK_TIMEOUT) throw new Undrained(boundMs)
    throw error
  }
}

/** A dedicated database that an older version has made may know no marks yet. */
function raiseMark(epoch: number): string {
  return `do $$ begin if to_regproc('tenancy.raise_mark') is not null then perform tenancy.raise_mark(${epoch}); end if; end $$;`
}

/** Opens a room at an epoch that it never had. With capture on, so that there is a way back from the first write. */
export async function openRoom(side: Side, epoch: number, capture: boolean): Promise<void> {
  const client = await side.client()
  await client.atomically(opening(side, epoch, capture))
}

/** What {@link openRoom} sends, from BEGIN to COMMIT, for whoever has more to do in the same round trip. */
export function opening(side: Side, epoch: number, capture: boolean): string {
  return `${beginBooks(side)}
    set local synchronous_commit = on;
    insert into tenancy.fence (tenant_id, epoch, state, capture, room)
    values ('${side.tenant}', ${epoch}, 'open', ${capture}, '${side.placement.schema}')
    on conflict (tenant_id) do update set epoch = excluded.epoch, state = 'open', capture = excluded.capture,
      room = excluded.room, changed_at = now() where fence.epoch <= excluded.epoch;
    commit`
}

/** Closes a room that was opened, or was about to be, and never flipped to. Nobody can be inside. */
export async function closeRoom(side: Side): Promise<void> {
  await inBooks(side, `update tenancy.fence set state = 'fenced', capture = false where tenant_id = '${side.tenant}'`)
}

/** Lets the tenant in again where it never left, and goes on noting what it changes. */
export async function reopenRoom(side: Side): Promise<void> {
  await inBooks(
    side,
    `update tenancy.fence set state = 'open', capture = true, changed_at = now()
     where tenant_id = '${side.tenant}' and epoch = ${side.placement.epoch} and state = 'fenced'`,
  )
}

/** At this mover's generation or not at all: one that wakes up late must not open what its successor has shut. */
export async function inBooks(side: Side, statements: string): Promise<void> {
  const client = await side.client()
  await client.transaction(beginBooks(side), () => client.script(statements))
}
