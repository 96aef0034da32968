import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { ClusterConfig } from '../../../config/index.ts'
import type { TenantRecord } from '../../../tiers/control/tenant-store.ts'
import { type MigrationFile, readMigrations } from '../../../tiers/migrate/files.ts'
import type { RoomMaker } from '../../../tiers/rooms/maker.ts'
import { SCHEMAS_DATABASE, SHARED_DATABASE } from '../../../tiers/rooms/naming.ts'
import { APP_SCHEMA } from '../../../tiers/tenancy/roles.ts'
import type { Product } from '../../product.ts'
import { type Check, fail, ok, some, warn } from './check.ts'
import { type DatabaseExpectation, type Finding, inspectDatabase, KINDS, type Kind } from './database.ts'

const TENANCY = fileURLToPath(new URL('../../../tiers/tenancy/', import.meta.url))
const AT_ONCE = 4

const FIXES: Readonly<Record<Kind, string>> = {
  tables: 'Find out who changed it, then protect it again by a new migration: innkeeper migrate.',
  triggers: 'Ask who disabled it, then ALTER TABLE ... ENABLE TRIGGER ...',
  grants:
    'REVOKE ... FROM PUBLIC; of what is made later: ALTER DEFAULT PRIVILEGES FOR ROLE ... REVOKE ... FROM PUBLIC.',
  movable: 'Mend the tables by a new migration: until then the tenants who have them stay where they are.',
  migrations: 'innkeeper migrate',
  fence: 'Ask whether a move is under way; if not, compare fence and directory before anything is changed by hand.',
  epochs: 'innkeeper control new-incarnation',
  'ticket keys':
    "Give every process the same region keys, then restart the control plane: it installs the configuration's.",
  'tenancy version':
    "In a tenant's own database: innkeeper migrate. Elsewhere: restart the control plane, which installs what is missing.",
  hardening:
    'Let a superuser be the adminUrl once and restart the control plane, or accept it where the provider allows none.',
}

export interface RoomsOptions {
  readonly cluster: ClusterConfig
  /** The gateways' role. */
  readonly app: string
  /** Names of its ticket keys. */
  readonly kids: readonly string[]
  readonly maker: RoomMaker
  readonly product: Product
  /** All that live on this cluster. */
  readonly tenants: readonly TenantRecord[]
  lastEpoch(): Promise<number>
}

/** Looks into every database of a cluster; one check for each kind of finding, however many databases there are. */
export async function checkRooms({
  cluster,
  app,
  kids,
  maker,
  product,
  tenants,
  lastEpoch,
}: RoomsOptions): Promise<Check[]> {
  const expectation = {
    app,
    lastEpoch,
    references: product.references,
    files: await readMigrations(product.migrationsFolder),
    kids,
    tenancyFiles: (await readdir(TENANCY)).filter((f) => f.endsWith('.sql')),
  }
  const waiting = databasesOf(cluster, tenants, expectation.files)
  const total = waiting.length
  const rooms = waiting.reduce((sum, d) => sum + d.rooms.length, 0)
  const findings: Finding[] = []
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      findings.push(...(await inspected(maker, { ...expectation, ...next }, next.database)))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return KINDS.map((kind) => checkOf(`${cluster.name} ${kind}`, kind, findings, `${rooms} rooms in ${total} databases`))
}

interface DataDatabase {
  readonly database: string
  readonly rooms: readonly string[]
  readonly tenants: readonly TenantRecord[]
}

function databasesOf(
  cluster: ClusterConfig,
  tenants: readonly TenantRecord[],
  files: readonly MigrationFile[],
): DataDatabase[] {
  const names = new Set(tenants.map((t) => t.placement!.database))
  if (cluster.hosts.includes('shared')) names.add(SHARED_DATABASE)
  if (cluster.hosts.includes('schema')) names.add(SCHEMAS_DATABASE)
  return [...names].map((database) => {
    const here = tenants.filter((t) => t.placement!.database === database)
    const own = here.map((t) => t.placement!.schema)
    // The shared room is there before its first tenant; without a migration it has no tables either.
    const rooms = new Set(database === SHARED_DATABASE ? [...own, APP_SCHEMA] : own)
    return { database, rooms: files.length === 0 ? [] : [...rooms], tenants: here }
  })
}

async function inspected(maker: RoomMaker, wanted: DatabaseExpectation, database: string): Promise<Finding[]> {
  try {
    const findings = await inspectDatabase(maker.admin(database), wanted)
    return findings.map((f) => ({ ...f, message: `${database}: ${f.message}` }))
  } catch (error) {
    return [{ kind: 'tables', isFatal: true, message: `${database}: ${(error as Error).message}` }]
  }
}

function checkOf(name: string, kind: Kind, findings: readonly Finding[], looked: string): Check {
  const mine = findings.filter((f) => f.kind === kind)
  if (mine.length === 0) return ok(name, looked)
  const message = some(mine.map((f) => f.message))
  return mine.some((f) => f.isFatal) ? fail(name, message, FIXES[kind]) : warn(name, message, FIXES[kind])
}
