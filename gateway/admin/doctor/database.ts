import type { TenantRecord } from '../../../tiers/control/tenant-store.ts'
import type { MigrationFile } from '../../../tiers/migrate/files.ts'
import { NOT_CAPTURED } from '../../../tiers/move/preflight-rows.ts'
import { structureFaults } from '../../../tiers/move/preflight-schema.ts'
import type { AdminSql } from '../../../tiers/pg/admin.ts'
import { hardeningGaps } from '../../../tiers/tenancy/harden.ts'
import { some } from './check.ts'
import { publicRights } from './public-rights.ts'
import { unprotectedTables } from './tables.ts'
import { silentTriggers } from './triggers.ts'

/** What is looked at in each database. A finding says of which kind it is. */
export const KINDS = [
  'tables',
  'triggers',
  'grants',
  'movable',
  'migrations',
  'fence',
  'epochs',
  'ticket keys',
  'tenancy version',
  'hardening',
] as const
export type Kind = (typeof KINDS)[number]

export interface Finding {
  readonly kind: Kind
  readonly isFatal: boolean
  readonly message: string
}

export interface DatabaseExpectation {
  readonly app: string
  /** The rooms that the directory knows here. */
  readonly rooms: readonly string[]
  /** The tenants that the directory places here. */
  readonly tenants: readonly TenantRecord[]
  /** The highest epoch that the control database has given out. */
  lastEpoch(): Promise<number>
  readonly files: readonly MigrationFile[]
  readonly references: readonly string[]
  /** Names of the ticket keys of the configuration. */
  readonly kids: readonly string[]
  /** Names of the SQL files of the tenancy schema. */
  readonly tenancyFiles: readonly string[]
}

/** Compares one data database with what the configuration and the directory say of it. */
export async function inspectDatabase(sql: AdminSql, wanted: DatabaseExpectation): Promise<Finding[]> {
  const findings: Finding[] = []
  const add = (kind: Kind, messages: readonly string[], isFatal = true) =>
    findings.push(...messages.map((message) => ({ kind, isFatal, message })))
  add('tables', await unprotectedTables(sql, wanted.rooms, wanted.references, wanted.app))
  findings.push(...(await silentTriggers(sql, wanted.rooms, wanted.references)))
  add('grants', await publicRights(sql))
  add('movable', await unmovable(sql, wanted.rooms), false)
  add('migrations', await outstanding(sql, wanted))
  add('fence', await wrongFences(sql, wanted.tenants))
  add('fence', await strayFences(sql, wanted.tenants), false)
  add('epochs', await epochsAhead(sql, wanted))
  add('ticket keys', await wrongKeys(sql, wanted.kids))
  const applied = await sql<{ name: string }[]>`select name from tenancy.versions`
  const missing = wanted.tenancyFiles.filter((f) => !applied.some((a) => a.name === f))
  if (missing.length > 0) add('tenancy version', [`not applied: ${some(missing)}`])
  const gaps = await hardeningGaps(sql, wanted.app)
  if (gaps.length > 0) add('hardening', [`tenants could use ${some(gaps)}`], false)
  return findings
}

/** The rooms of a database have the same migrations: one tells of all. */
async function unmovable(sql: AdminSql, [room]: readonly string[]): Promise<string[]> {
  if (room === undefined) return []
  const query = async <Row extends object>(text: string, params: readonly unknown[] = []) =>
    (await sql.unsafe<Row[]>(text, params as string[])) as Row[]
  const faults = await structureFaults({ query }, room)
  // Whether triggers fire is looked at in every room.
  return faults.filter((f) => f.fault !== NOT_CAPTURED).map(({ object, fault }) => `${room}.${object} ${fault}`)
}

async function outstanding(sql: AdminSql, { rooms, files }: DatabaseExpectation): Promise<string[]> {
  const records = await sql<{ room: string; name: string; checksum: string }[]>`
    select room, name, checksum from tenancy.migrations where room = any(${[...rooms]})`
  const applied = new Map(records.map((r) => [`${r.room}/${r.name}`, r.checksum]))
  return rooms.flatMap((room) =>
    files.flatMap(({ name, checksum }) => {
      const found = applied.get(`${room}/${name}`)
      if (found === undefined) return [`room ${room} lacks ${name}`]
      return found === checksum ? [] : [`${name} was changed after room ${room} had applied it`]
    }),
  )
}

interface Fence {
  readonly tenant: string
  readonly epoch: number
  readonly state: 'open' | 'fenced'
  readonly room: string
}

const fencesOf = (sql: AdminSql) => sql<Fence[]>`
  select tenant_id as tenant, epoch::float8 as epoch, state, room from tenancy.fence`

/** A fence that says another epoch than the directory turns every request of the tenant away. */
async function wrongFences(sql: AdminSql, tenants: readonly TenantRecord[]): Promise<string[]> {
  const fences = new Map((await fencesOf(sql)).map((f) => [f.tenant, f]))
  return tenants.flatMap(({ id, slug, placement }) => {
    const fence = fences.get(id)
    if (fence === undefined) return [`${slug} has no fence`]
    const { epoch, schema } = placement!
    if (fence.epoch !== epoch) return [`${slug} is at epoch ${fence.epoch}, and at ${epoch} in the directory`]
    if (fence.room !== schema) return [`${slug} is fenced for room ${fence.room}, and lives in ${schema}`]
    return fence.state === 'open' ? [] : [`${slug} is fenced`]
  })
}

async function strayFences(sql: AdminSql, tenants: readonly TenantRecord[]): Promise<string[]> {
  const known = new Set<string>(tenants.map((t) => t.id))
  const strays = (await fencesOf(sql)).filter((f) => f.state === 'open' && !known.has(f.tenant))
  return strays.map((f) => `an open fence of ${f.tenant}, who does not live here`)
}

/** An older copy of the control database would give out epochs a second time. */
async function epochsAhead(sql: AdminSql, { lastEpoch }: DatabaseExpectation): Promise<string[]> {
  const [installed] = await sql`select to_regclass('tenancy.epoch_mark') as it`
  if (installed!.it === null) return []
  const [mark] = await sql<{ epoch: number }[]>`select epoch::float8 as epoch from tenancy.epoch_mark`
  // After the mark: what is given out meanwhile is no fault.
  const epochLast = await lastEpoch()
  if (mark!.epoch <= epochLast) return []
  return [`has heard of epoch ${mark!.epoch}, and the control database has given out ${epochLast}: it was restored`]
}

async function wrongKeys(sql: AdminSql, kids: readonly string[]): Promise<string[]> {
  const rows = await sql<{ kid: string }[]>`select kid from tenancy.ticket_keys`
  const installed = rows.map((r) => r.kid)
  return [
    ...kids.filter((k) => !installed.includes(k)).map((k) => `key ${k} of the configuration is not installed`),
    ...installed.filter((k) => !kids.includes(k)).map((k) => `key ${k} is installed and not in the configuration`),
  ]
}
