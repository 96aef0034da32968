import type postgres from 'postgres'
import type { ClusterConfig, Config } from '../../config/index.ts'
import type { TenantRecord, TenantStore } from '../control/tenant-store.ts'
import type { MigrationFile } from '../migrate/files.ts'
import { type ResidencyFault, residencyFaults } from '../residency/faults.ts'
import type { RoomMaker } from '../rooms/maker.ts'
import { type Destination, destinationOf, type MovePlan, type Refusal } from './plan.ts'
import { type Preflight, preflight } from './preflight.ts'
import { isBeforeFlip } from './states.ts'
import type { MoveStore } from './store.ts'
import type { Home, Move } from './types.ts'

export interface PlannerDeps {
  readonly config: Config
  readonly tenants: TenantStore
  /** Of the control database. */
  readonly sql: postgres.Sql
  readonly store: MoveStore
  tenant(slugOrId: string): Promise<TenantRecord>
  makerOf(cluster: string): RoomMaker
  clusterOf(cluster: string): ClusterConfig
  migration(): Promise<{ readonly files: readonly MigrationFile[]; readonly references: readonly string[] }>
}

export interface Surveyed {
  readonly tenant: TenantRecord
  readonly from: Home
  readonly to: Home
  readonly kind: MovePlan['kind']
}

type Wanted = Destination & { readonly tenant: string }

/** Says where a move would lead, what it would move and what would stop it. Changes nothing. */
export interface Planner {
  /** @param isReal the new room is about to be made, and its epoch is given out */
  survey(wanted: Wanted, isReal?: boolean): Promise<Surveyed>
  /** @param before a move that is completed before this one begins */
  inspect(tenant: TenantRecord, from: Home, to: Home, before?: Move): Promise<Preflight>
  /** What the tenant's residency has against a home. */
  forbids(tenant: TenantRecord, home: Home): ResidencyFault[]
  plan(wanted: Wanted): Promise<MovePlan>
}

/** What a plan reckons with where no move has ended yet: one that works a third of the time, with its verification. */
const ROWS_PER_SECOND = 10_000
const FIXED_MS = 1_500

export function createPlanner(deps: PlannerDeps): Planner {
  const { config, tenants, sql, store, makerOf, clusterOf } = deps
  const survey = async (wanted: Wanted, isReal = false) => {
    const tenant = await deps.tenant(wanted.tenant)
    const [row] = await sql<{ epoch: number }[]>`
      select ${isReal ? sql`next_epoch()` : sql`last_epoch() + 1`}::float8 as epoch`
    const chosen = destinationOf(config, tenant, wanted, row!.epoch, await tenants.load())
    return { tenant, ...chosen }
  }
  const inspect = async (tenant: TenantRecord, from: Home, to: Home, before?: Move) =>
    preflight(
      { ...(await deps.migration()), collationSkew: config.moves.collationSkew, makerOf, clusterOf, before },
      tenant.id,
      from,
      to,
    )

  const forbids = (tenant: TenantRecord, { tier, region, placement }: Home) =>
    residencyFaults(config, tenant, { tier, region, cluster: placement.cluster })
  /** What stops a move for now. */
  const busyFaults = async (open: Move | undefined): Promise<Refusal[]> => {
    const faults: Refusal[] = []
    if (open !== undefined && !isWatched(open)) {
      const fix = 'Wait for that move to end, or abort it.'
      faults.push({ object: 'tenant', fault: `it is being moved already: move ${open.id} is ${open.state}`, fix })
    }
    if (await store.isMigrating()) {
      faults.push({ object: 'fleet', fault: 'a migration is running', fix: 'Wait for it to end, then try again.' })
    }
    return faults
  }
  /** What whoever asks for a move may want to know before it begins, and what does not stop it. */
  const notesOf = async (from: Home, to: Home, watched: Move | undefined): Promise<string[]> => {
    const notes: string[] = []
    if (watched !== undefined) {
      notes.push(`The move before this one, ${watched.id}, is completed first: there is no rollback of it then.`)
    }
    const underWay = (await store.list({ open: true, limit: 1_000 })).filter(hasPlace)
    for (const cluster of new Set([from.placement.cluster, to.placement.cluster])) {
      const taken = underWay.filter((m) => [m.from, m.to].some((h) => h.placement.cluster === cluster)).length
      const { movesMax } = clusterOf(cluster)
      if (taken >= movesMax)
        notes.push(`Cluster ${cluster} has ${taken} of ${movesMax} moves under way: it would wait.`)
    }
    if (clusterOf(to.placement.cluster).capacityBytes === undefined) {
      notes.push(`Whether cluster ${to.placement.cluster} has the space is not known: set its capacityBytes.`)
    }
    return notes
  }
  const plan = async (wanted: Wanted): Promise<MovePlan> => {
    const { tenant, from, to, kind } = await survey(wanted)
    const forbidden = forbids(tenant, to)
    const wayBack = forbids(tenant, from).length === 0
    if (kind === 'limits') {
      return { from, to, kind, tables: [], rows: 0, bytes: 0, etaMs: 0, refusals: forbidden, notes: [], wayBack }
    }
    const [before] = await store.list({ tenantId: tenant.id, open: true, limit: 1 })
    const watched = before !== undefined && isWatched(before) ? before : undefined
    const { refusals: found, tables } = await inspect(tenant, from, to, watched)
    const refusals = [...forbidden, ...(await busyFaults(before)), ...found]
    const rows = tables.reduce((sum, t) => sum + t.rows, 0)
    const bytes = tables.reduce((sum, t) => sum + t.bytes, 0)
    const etaMs = Math.round(FIXED_MS + (rows * 1_000) / ((await store.rowsPerSecond()) ?? ROWS_PER_SECOND))
    return { from, to, kind, tables, rows, bytes, etaMs, refusals, notes: await notesOf(from, to, watched), wayBack }
  }
  return { survey, inspect, forbids, plan }
}

const hasPlace = ({ state }: Move) => isBeforeFlip(state) && state !== 'planned'
export const isWatched = ({ state }: Move) => state === 'watching' || state === 'completing'
