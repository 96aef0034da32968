import type { ClusterConfig } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import { faultsOf } from '../migrate/faults.ts'
import type { MigrationFile } from '../migrate/files.ts'
import { quoteIdent } from '../quote.ts'
import type { RoomMaker } from '../rooms/maker.ts'
import { MOVER } from '../tenancy/roles.ts'
import type { TenantId } from '../types.ts'
import { asTenant } from './as-tenant.ts'
import { tablesOf } from './catalogue.ts'
import type { Refusal } from './plan.ts'
import { poolFaults } from './preflight-pool.ts'
import { idFaults, leftoverFaults, migrationFaults, shapeFaults } from './preflight-rows.ts'
import { structureFaults, unprovenFaults } from './preflight-schema.ts'
import {
  type CollationSkew,
  collationFaults,
  extensionFaults,
  factsOf,
  serverFaults,
  skewFaults,
  spaceFaults,
} from './preflight-servers.ts'
import { openSide, type Side } from './side.ts'
import type { Home, Move } from './types.ts'

export interface PreflightDeps {
  readonly files: readonly MigrationFile[]
  /** Names of shared reference tables. */
  readonly references: readonly string[]
  readonly collationSkew: CollationSkew
  makerOf(cluster: string): RoomMaker
  clusterOf(cluster: string): ClusterConfig
  /** A move of the tenant that is completed before this one begins: what it left will be gone. */
  readonly before?: Move | undefined
}

export interface TableSize {
  readonly name: string
  readonly rows: number
  /** With its indexes. */
  readonly bytes: number
}

export interface Preflight {
  readonly refusals: readonly Refusal[]
  readonly tables: readonly TableSize[]
}

/**
 * Looks for everything that would stop a move, before anything is copied. Each is named with what to do about it.
 * It changes nothing on either side.
 */
export async function preflight(deps: PreflightDeps, tenant: TenantId, from: Home, to: Home): Promise<Preflight> {
  const side = (home: Home) =>
    openSide({
      placement: home.placement,
      cluster: deps.clusterOf(home.placement.cluster),
      move: '',
      tenant,
      generation: 0,
    })
  const source = side(from)
  const { isolation } = to.placement
  // Of the target's server: the target's database may not be there yet.
  const target = side(isolation === 'database' ? { ...to, placement: { ...to.placement, database: 'postgres' } } : to)
  try {
    const [here, there] = await Promise.all([source.client(), target.client()])
    const { schema, database, cluster } = from.placement
    const tables = await tablesOf(here, schema)
    const sizes = await sizesOf(
      source,
      tables.map((t) => t.name),
    )
    const bytes = sizes.reduce((sum, t) => sum + t.bytes, 0)
    const isOneServer = cluster === to.placement.cluster
    const facts = [
      await factsOf(here, database),
      await factsOf(there, isolation === 'database' ? 'template0' : to.placement.database),
    ] as const
    const refusals = [
      ...(await serverFaults(here, `cluster ${cluster}`, isOneServer ? 2 : 1)),
      ...(isOneServer ? [] : await serverFaults(there, `cluster ${to.placement.cluster}`, 1)),
      ...(await spaceFaults(there, deps.clusterOf(to.placement.cluster), bytes)),
      ...skewFaults(...facts, deps.collationSkew),
      ...(await collationFaults(here, schema, there, deps.collationSkew)),
      ...(await extensionFaults(here, schema, there, isolation === 'shared')),
      ...(await faultsOf(deps.makerOf(cluster).admin(database), schema, deps.references)),
      ...(await structureFaults(here, schema, tables, isolation === 'shared')),
      ...(await unprovenFaults(here, source, tables)),
      ...(await migrationFaults(here, schema, deps.files, 'source')),
    ]
    if (isolation !== 'database' && deps.before === undefined) refusals.push(...(await leftoverFaults(there, tenant)))
    if (isolation === 'shared') {
      refusals.push(...(await migrationFaults(there, to.placement.schema, deps.files, 'target')))
      refusals.push(...(await shapeFaults(here, schema, there, to.placement.schema)))
      refusals.push(...(await idFaults(here, source)))
    }
    if (from.placement.isolation === 'shared') refusals.push(...(await poolFaults(source, tables)))
    if (isolation === 'shared') refusals.push(...(await poolFaults(target, tables)))
    return { refusals, tables: sizes }
  } finally {
    await Promise.all([source.close(), target.close()])
  }
}

/** Where nobody has analysed a table yet. */
const ROW_BYTES = 400

/** Counted rows; their bytes as the tenant's part of the table and its indexes. */
async function sizesOf(source: Side, tables: readonly string[]): Promise<TableSize[]> {
  const client = await source.client()
  const bytes = await client.query<{ name: string; row_bytes: number | null; may: boolean }>(
    `select relname as name, has_table_privilege('${MOVER}', oid, 'select') as may, case when reltuples > 0 then pg_total_relation_size(oid) / reltuples end::float8 as row_bytes
     from pg_class where relnamespace = $1::text::regnamespace and relname = any($2)`,
    [quoteIdent(source.placement.schema), [...tables]],
  )
  const rowBytes = new Map(bytes.map((b) => [b.name, b.row_bytes]))
  // A table that no migration has made is refused anyway.
  const shut = new Set(bytes.filter((b) => !b.may).map((b) => b.name))
  return asTenant(source, async () => {
    const sizes: TableSize[] = []
    for (const name of tables) {
      if (shut.has(name)) continue
      const [row] = await client.query<{ rows: number }>(
        `select count(*)::float8 as rows from ${source.table(name)} where tenant_id = $1`,
        [source.tenant],
      )
      sizes.push({ name, rows: row!.rows, bytes: Math.round(row!.rows * (rowBytes.get(name) ?? ROW_BYTES)) })
    }
    return sizes
  })
}

/** @throws InnkeeperError `conflict` with every refusal at once */
export function assertNothingRefused(refusals: readonly Refusal[]): void {
  if (refusals.length === 0) return
  throw new InnkeeperError('conflict', `The move cannot begin: ${refusals.length} thing(s) stop it`, {
    details: refusals.map((r) => `${r.object}: ${r.fault}`).join('; '),
    hint: [...new Set(refusals.map((r) => r.fix))].join(' '),
  })
}
