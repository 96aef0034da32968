import { InnkeeperError } from '../errors.ts'
import type { MigrationFile } from '../migrate/files.ts'
import type { RoomMaker } from '../rooms/maker.ts'
import type { TenantId } from '../types.ts'
import { fingerprintOf, type RoomTable, sequencesOf, tablesOf } from './catalogue.ts'
import type { MoverClient } from './mover-client.ts'
import type { Refusal } from './plan.ts'
import { valuesOf } from './sequences.ts'
import { openSide } from './side.ts'
import type { Home, Move } from './types.ts'

export interface PreflightDeps {
  readonly files: readonly MigrationFile[]
  makerOf(cluster: string): RoomMaker
  clusterOf(cluster: string): import('../../config/index.ts').ClusterConfig
  /** A move of the tenant that is completed before this one begins: what it left will be gone. */
  readonly before?: Move | undefined
}

export interface Preflight {
  readonly refusals: readonly Refusal[]
  readonly tables: readonly { readonly name: string; readonly rows: number; readonly bytes: number }[]
}

/** Types whose values survive being a note's key: written as JSON and read back they are the same. */
const KEY_TYPES =
  /^(smallint|integer|bigint|text|character varying.*|character\(.*|uuid|boolean|date|timestamp.*|numeric.*|bytea|oid)$/
const CONNECTIONS_FREE_MIN = 8

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
  // Of the target's server: the target's database may not be there yet.
  const there =
    to.placement.isolation === 'database' ? { ...to, placement: { ...to.placement, database: 'postgres' } } : to
  const target = side(there)
  try {
    const [here, other] = await Promise.all([source.client(), target.client()])
    const tables = await tablesOf(here, from.placement.schema)
    const refusals = [
      ...(await serverFaults(here, `cluster ${from.placement.cluster}`)),
      ...(await serverFaults(other, `cluster ${to.placement.cluster}`)),
      ...(await versionFaults(here, other)),
      ...(await tableFaults(here, from.placement.schema, tables)),
      ...(await migrationFaults(here, from.placement.schema, deps.files, 'source')),
    ]
    if (to.placement.isolation !== 'database' && deps.before === undefined)
      refusals.push(...(await leftoverFaults(other, tenant)))
    if (to.placement.isolation === 'shared') {
      refusals.push(...(await migrationFaults(other, to.placement.schema, deps.files, 'target')))
      refusals.push(...(await shapeFaults(here, from.placement.schema, other, to.placement.schema)))
      refusals.push(...(await sequenceFaults(here, source)))
    }
    const sizes = []
    for (const table of tables) {
      const [row] = await here.query<{ rows: number }>(
        `select count(*)::float8 as rows from ${source.table(table.name)} where tenant_id = $1`,
        [tenant],
      )
      sizes.push({ name: table.name, rows: row!.rows, bytes: Math.round(row!.rows * table.rowBytes) })
    }
    return { refusals, tables: sizes }
  } finally {
    await Promise.all([source.close(), target.close()])
  }
}

/** @throws InnkeeperError `conflict` with every refusal at once */
export function assertNothingRefused(refusals: readonly Refusal[]): void {
  if (refusals.length === 0) return
  throw new InnkeeperError('conflict', `The move cannot begin: ${refusals.length} thing(s) stop it`, {
    details: refusals.map((r) => `${r.object}: ${r.fault}`).join('; '),
    hint: [...new Set(refusals.map((r) => r.fix))].join(' '),
  })
}

async function serverFaults(client: MoverClient, object: string): Promise<Refusal[]> {
  const [row] = await client.query<{ may: boolean; free: number }>(
    `select has_parameter_privilege(current_user, 'session_replication_role', 'SET') and pg_has_role('innkeeper_mover', 'MEMBER') as may,
       current_setting('max_connections')::int - (select count(*)::int from pg_stat_activity) as free`,
  )
  const faults: Refusal[] = []
  if (!row!.may) {
    faults.push({
      object,
      fault: 'the admin role may not set session_replication_role',
      fix: 'Let a superuser run GRANT SET ON PARAMETER session_replication_role TO the admin role.',
    })
  }
  if (row!.free < CONNECTIONS_FREE_MIN) {
    faults.push({ object, fault: `only ${row!.free} connections are free`, fix: 'Raise max_connections, or wait.' })
  }
  return faults
}

async function versionFaults(here: MoverClient, there: MoverClient): Promise<Refusal[]> {
  const of = async (client: MoverClient) =>
    (
      await client.query<{ major: number; encoding: string }>(
        `select current_setting('server_version_num')::int / 10000 as major, current_setting('server_encoding') as encoding`,
      )
    )[0]!
  const [a, b] = [await of(here), await of(there)]
  const faults: Refusal[] = []
  if (b.major < a.major) {
    faults.push({
      object: 'target server',
      fault: `PostgreSQL ${b.major} is older than the source's ${a.major}`,
      fix: 'Choose a cluster of the same or a newer major version.',
    })
  }
  if (a.encoding !== b.encoding) {
    faults.push({
      object: 'target server',
      fault: `its encoding is ${b.encoding}, not ${a.encoding}`,
      fix: 'Use UTF8.',
    })
  }
  return faults
}

async function tableFaults(client: MoverClient, room: string, tables: readonly RoomTable[]): Promise<Refusal[]> {
  const faults: Refusal[] = []
  for (const table of tables) {
    const odd = table.key.find((c) => !KEY_TYPES.test(c.type) && !c.type.includes('.'))
    if (odd !== undefined) {
      faults.push({
        object: `${table.name}.${odd.name}`,
        fault: `a key of type ${odd.type} cannot be noted exactly`,
        fix: 'Use a key of integers, text, uuid, dates or numeric.',
      })
    }
  }
  const found = await client.query<{
    name: string
    kind: string
    persistence: string
    captured: boolean
    keyed: boolean
  }>(
    `select c.relname as name, c.relkind as kind, c.relpersistence as persistence,
       (select count(*) = 3 from pg_trigger t where t.tgrelid = c.oid and t.tgname like 'innkeeper\\_capture\\_%' and t.tgenabled = 'A') as captured,
       exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) as keyed
     from pg_class c where c.relnamespace = (select oid from pg_namespace where nspname = $1) and c.relkind in ('r', 'p')
       and not c.relispartition and c.relname = any ($2) order by 1`,
    [room, tables.map((t) => t.name)],
  )
  for (const { name, kind, persistence, captured, keyed } of found) {
    if (kind === 'p')
      faults.push({ object: name, fault: 'is partitioned', fix: 'Partitioned tables cannot be moved yet.' })
    if (persistence !== 'p') faults.push({ object: name, fault: 'is unlogged', fix: 'Make it LOGGED.' })
    if (!keyed)
      faults.push({ object: name, fault: 'has no primary key', fix: 'Give it one that begins with tenant_id.' })
    else if (kind !== 'p' && !captured) {
      faults.push({
        object: name,
        fault: 'has no capture triggers',
        fix: 'The room was made by an older version: let a migration run over it.',
      })
    }
  }
  return faults
}

async function migrationFaults(
  client: MoverClient,
  room: string,
  files: readonly MigrationFile[],
  which: string,
): Promise<Refusal[]> {
  const rows = await client.query<{ name: string; checksum: string }>(
    'select name, checksum from tenancy.migrations where room = $1',
    [room],
  )
  const applied = new Map(rows.map((r) => [r.name, r.checksum]))
  const missing = files.filter((f) => applied.get(f.name) !== f.checksum).map((f) => f.name)
  const unknown = rows.filter((r) => !files.some((f) => f.name === r.name)).map((r) => r.name)
  return [...missing, ...unknown].map((name) => ({
    object: name,
    fault: `the ${which} room and the migrations folder differ about it`,
    fix: 'Run `innkeeper migrate` first, with the newest files.',
  }))
}

/** By the catalogue and not by the list of files: somebody may have changed a table by hand. */
async function shapeFaults(here: MoverClient, room: string, there: MoverClient, other: string): Promise<Refusal[]> {
  const [a, b] = [await fingerprintOf(here, room), await fingerprintOf(there, other)]
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((table) => a.get(table) !== b.get(table))
    .map((table) => ({
      object: table,
      fault: 'is not the same table on both sides',
      fix: 'Bring both rooms to the same migration.',
    }))
}

async function leftoverFaults(client: MoverClient, tenant: TenantId): Promise<Refusal[]> {
  const [row] = await client.query<{ fence: boolean; move: boolean }>(
    `select exists (select from tenancy.fence where tenant_id = $1) as fence,
       exists (select from tenancy.moves where tenant_id = $1) as move`,
    [tenant],
  )
  if (!row!.fence && !row!.move) return []
  return [{ object: 'target', fault: 'holds something of this tenant already', fix: 'Complete the move that left it.' }]
}

/** In the pool everybody draws from one sequence: a tenant's huge value would take the numbers from all of them. */
async function sequenceFaults(client: MoverClient, source: ReturnType<typeof openSide>): Promise<Refusal[]> {
  const sequences = await sequencesOf(client, source.placement.schema)
  if (sequences.length === 0) return []
  const values = await valuesOf(client, source, sequences)
  return sequences
    .filter((s) => BigInt(values.get(s.name)!.last) > BigInt(s.max) / 2n)
    .map((s) => ({
      object: s.name,
      fault: 'has used more than half of its numbers, which would be lost to all tenants of the pool',
      fix: 'Use bigint for the identity column.',
    }))
}
