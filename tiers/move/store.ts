import type postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import { InnkeeperError } from '../errors.ts'
import type { TenantId } from '../types.ts'
import { type Claim, claimMove } from './claim.ts'
import { isFinal, type MoveState } from './states.ts'
import { type Home, type Move, type MoveRequest, NO_PROGRESS } from './types.ts'

/** The number by which fleet migrations and the beginning of moves keep out of each other's way, in the control database. */
export const MIGRATION_LOCK = 1_229_868_625

/** Who may change a move now. It is asked for in every write: a runner that was overtaken changes nothing. */
export interface Lease {
  readonly id: string
  readonly owner: string
  readonly generation: number
}

export interface MoveFilter {
  readonly tenantId?: TenantId | undefined
  readonly open?: boolean | undefined
  /** Begun before this move: the newest come first. */
  readonly after?: string | undefined
  readonly limit: number
}

/** What a transition may write beside the state. */
export type MovePatch = Partial<
  Pick<Move, 'request' | 'progress' | 'reason' | 'attempts' | 'pauseMs' | 'watchUntil' | 'certificate'>
> & {
  /** The certificate of a move that ends, as it was signed. */
  readonly signedCertificate?: string
}

export interface MoveStore {
  /** Whether a fleet migration is running. */
  isMigrating(): Promise<boolean>
  /** What the last moves of some size came to, copy and verification together; null where there was none. */
  rowsPerSecond(): Promise<number | null>
  /** Writes down what was done at once. */
  insert(move: { tenantId: TenantId; from: Home; to: Home; askedBy: string; state: MoveState }): Promise<Move>
  /**
   * Writes a new move, and with it the epoch that its room is named by as given out.
   * @throws InnkeeperError `conflict` also where a fleet migration is running
   */
  begin(move: { tenantId: TenantId; from: Home; to: Home; askedBy: string; rowsTotal: number }): Promise<Move>
  get(id: string): Promise<Move | null>
  list(filter: MoveFilter): Promise<Move[]>
  /** Takes a move that nobody works on, and that has its places. @returns null where there is none */
  claim(claim: Claim): Promise<Move | null>
  /** @returns what an operator asked for meanwhile @throws Overtaken */
  extend(lease: Lease, leaseMs: number): Promise<MoveRequest | null>
  release(lease: Lease): Promise<void>
  /** One compare-and-set on state, lease and generation. @throws Overtaken */
  transition(lease: Lease, from: MoveState, to: MoveState, patch?: MovePatch): Promise<Move>
  /** @throws Overtaken */
  patch(lease: Lease, patch: MovePatch): Promise<void>
  /** @returns null where the move is in none of these states any more */
  request(id: string, request: MoveRequest, by: string | null, states: readonly MoveState[]): Promise<Move | null>
  /** @returns the text that was stored with the move's end; null where it has none */
  signedCertificate(id: string): Promise<string | null>
}

/** Somebody else has the move now: whoever gets this stops at once and undoes nothing. */
export class Overtaken extends Error {
  constructor() {
    super('another runner has taken over this move')
    this.name = 'Overtaken'
  }
}

const COLUMNS = `id, tenant_id as "tenantId", origin as "from", destination as "to", state, generation::float8, request, requested_by as "requestedBy", progress,
  reason, attempts, pause_ms as "pauseMs", asked_by as "askedBy", watch_until as "watchUntil", certificate,
  created_at as "createdAt", updated_at as "updatedAt", ended_at as "endedAt"`

export function moveStore(sql: postgres.Sql): MoveStore {
  const columns = sql.unsafe(COLUMNS)
  const get = async (id: string) => {
    const [row] = await sql<Move[]>`select ${columns} from moves where id = ${id}`
    return row ?? null
  }
  return {
    async isMigrating() {
      const [row] = await sql<{ free: boolean }[]>`select pg_try_advisory_xact_lock_shared(${MIGRATION_LOCK}) as free`
      return !row!.free
    },
    async rowsPerSecond() {
      const [row] = await sql<{ rate: number | null }[]>`
        select percentile_cont(0.5) within group (order by 1 / (1 / copied + 1 / verified)) as rate from (
          select (progress ->> 'rowsPerSecond')::float8 as copied, (progress ->> 'verifiedPerSecond')::float8 as verified
          from moves where (progress ->> 'rows')::float8 >= 10000 and (progress ->> 'rowsPerSecond')::float8 > 0
            and (progress ->> 'verifiedPerSecond')::float8 > 0
          order by created_at desc limit 10) last`
      return row!.rate
    },
    async insert({ tenantId, from, to, askedBy, state }) {
      const [row] = await sql<Move[]>`
        insert into moves (id, tenant_id, origin, destination, state, asked_by, progress, ended_at)
        values (${uuidv7()}, ${tenantId}, ${json(sql, from)}, ${json(sql, to)}, ${state}, ${askedBy},
          ${json(sql, NO_PROGRESS)}, ${isFinal(state) ? sql`now()` : null})
        returning ${columns}`
      return row!
    },
    async begin({ tenantId, from, to, askedBy, rowsTotal }) {
      try {
        // One statement: the lock that a fleet migration holds is looked at in the same transaction.
        const [row] = await sql<Move[]>`
          with turn as materialized (select pg_try_advisory_xact_lock_shared(${MIGRATION_LOCK}) as is_free),
          named as (
            update tenants set epoch_last = greatest(epoch_last, ${to.placement.epoch})
            where id = ${tenantId} and (select is_free from turn)
          )
          insert into moves (id, tenant_id, origin, destination, state, asked_by, progress)
          select ${uuidv7()}, ${tenantId}, ${json(sql, from)}, ${json(sql, to)}, 'planned', ${askedBy},
            ${json(sql, { ...NO_PROGRESS, rowsTotal })} from turn where is_free
          returning ${columns}`
        if (row !== undefined) return row
      } catch (error) {
        if ((error as { code?: string }).code !== '23505') throw error
        throw new InnkeeperError('conflict', 'The tenant is being moved already', {
          cause: error,
          hint: 'Wait for that move to end, or abort it.',
        })
      }
      throw new InnkeeperError('conflict', 'A migration is running', { hint: 'Wait for it to end, then try again.' })
    },
    get,
    // By id, which begins with the time: it is never another's, so a page ends between two moves.
    list: async ({ tenantId, open, after, limit }) =>
      sql<Move[]>`
        select ${columns} from moves
        where true ${tenantId ? sql`and tenant_id = ${tenantId}` : sql``}
          ${open === undefined ? sql`` : open ? sql`and ended_at is null` : sql`and ended_at is not null`}
          ${after ? sql`and id < ${after}` : sql``}
        order by id desc limit ${limit}`,
    async claim(claim) {
      const id = await claimMove(sql, claim)
      return id === null ? null : get(id)
    },
    async extend({ id, owner, generation }, leaseMs) {
      const [row] = await sql<{ request: MoveRequest | null }[]>`
        update moves set lease_until = ${until(sql, leaseMs)}
        where id = ${id} and lease_owner = ${owner} and generation = ${generation} returning request`
      if (row === undefined) throw new Overtaken()
      return row.request
    },
    async release({ id, owner, generation }) {
      await sql`update moves set lease_until = null, lease_owner = null
        where id = ${id} and lease_owner = ${owner} and generation = ${generation}`
    },
    async transition({ id, owner, generation }, from, to, patch = {}) {
      const [row] = await sql<Move[]>`
        update moves set state = ${to}, updated_at = now(), ended_at = ${isFinal(to) ? sql`now()` : null}
          ${assignments(sql, patch)}
        where id = ${id} and state = ${from} and lease_owner = ${owner} and generation = ${generation}
        returning ${columns}`
      if (row === undefined) throw new Overtaken()
      return row
    },
    async patch({ id, owner, generation }, patch) {
      const rows = await sql`
        update moves set updated_at = now() ${assignments(sql, patch)}
        where id = ${id} and lease_owner = ${owner} and generation = ${generation} returning id`
      if (rows.length === 0) throw new Overtaken()
    },
    async request(id, request, by, states) {
      const [row] = await sql<Move[]>`
        update moves set request = ${request}, requested_by = ${by}, updated_at = now()
        where id = ${id} and state in ${sql(states as MoveState[])} returning ${columns}`
      return row ?? null
    },
    async signedCertificate(id) {
      const [row] = await sql<{ text: string | null }[]>`select signed_certificate as text from moves where id = ${id}`
      return row?.text ?? null
    },
  }
}

function until(sql: postgres.Sql, ms: number) {
  return sql`clock_timestamp() + ${ms} * interval '1 ms'`
}

function json(sql: postgres.Sql, value: unknown) {
  return sql.json(value as postgres.JSONValue)
}

function assignments(sql: postgres.Sql, patch: MovePatch) {
  const { request, progress, reason, attempts, pauseMs, watchUntil, certificate, signedCertificate } = patch
  return sql`
    ${request === undefined ? sql`` : sql`, request = ${request}`}
    ${progress === undefined ? sql`` : sql`, progress = ${json(sql, progress)}`}
    ${reason === undefined ? sql`` : sql`, reason = ${reason}`}
    ${attempts === undefined ? sql`` : sql`, attempts = ${attempts}`}
    ${pauseMs === undefined ? sql`` : sql`, pause_ms = ${pauseMs}`}
    ${watchUntil === undefined ? sql`` : sql`, watch_until = ${watchUntil}`}
    ${certificate === undefined ? sql`` : sql`, certificate = coalesce(certificate, '{}') || ${json(sql, certificate)}`}
    ${signedCertificate === undefined ? sql`` : sql`, signed_certificate = ${signedCertificate}`}`
}
