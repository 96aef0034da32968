import type postgres from 'postgres'
import type { Config } from '../../../config/index.ts'
import type { AuditLog } from '../../audit/log.ts'
import type { RegionStores } from '../../control/region-stores.ts'
import { sign, signingKey } from '../../control/signed-document.ts'
import type { TenantRecord } from '../../control/tenant-store.ts'
import type { KeyAdmin } from '../../keys/admin.ts'
import type { Move } from '../../move/types.ts'
import { withServer } from '../../pg/admin.ts'
import { adminServerOf } from '../../pg/server.ts'
import { REGION_DATABASE } from '../../rooms/naming.ts'
import { residencyOf } from '../policy.ts'
import type { Scan } from '../scan/found.ts'
import type {
  BackupPlace,
  CachePlace,
  GatewayStay,
  KeptToText,
  KeyPlace,
  ResidencyReport,
  SignedReport,
} from './document.ts'
import { type HomeRow, moveLine, outsideOf, staysOf } from './stays.ts'

export interface ReportDeps {
  readonly config: Config
  /** Of the control database. */
  readonly sql: postgres.Sql
  readonly audit: AuditLog
  readonly regions: Pick<RegionStores, 'clusters' | 'about'>
  keysOf(region: string): KeyAdmin
  moves(tenant: TenantRecord): Promise<Move[]>
  scan(): Promise<Scan>
}

/** Says where everything of a tenant's is and was, and signs it. */
export async function residencyReport(deps: ReportDeps, tenant: TenantRecord): Promise<SignedReport> {
  const document = await reportOf(deps, tenant)
  const { signingKey: secret } = deps.config
  return secret === null ? { document, signature: null, keyId: null } : sign(document, signingKey(secret))
}

async function reportOf(deps: ReportDeps, tenant: TenantRecord): Promise<ResidencyReport> {
  const { config, sql, audit } = deps
  const { id, slug, status, tier, region } = tenant
  const changes = await audit.list({ tenantId: id, action: 'tenant.residency', limit: 500 })
  const moves = (await deps.moves(tenant)).reverse()
  const rooms = staysOf(await homesOf(sql, id), moves)
  const keys = await keysOf(deps, tenant)
  const gateways = await gatewaysOf(sql, id)
  const backups = backupsOf(config, new Set(rooms.map((r) => r.cluster)))
  const scan = await deps.scan()
  const head = await audit.head()
  const residency = residencyOf(config, tenant)
  const created = await audit.list({ tenantId: id, action: 'tenant.create', limit: 1 })
  return {
    kind: 'innkeeper residency report',
    version: 1,
    issuedAt: new Date().toISOString(),
    tenant: { id, slug, status, tier, region },
    keptTo: keptTo(config, tenant, changes[0]?.at ?? null),
    rooms,
    tables: await tablesOf(deps, tenant),
    keys,
    caches: await cachesOf(deps, tenant),
    backups,
    gateways,
    moves: moves.map(moveLine),
    changes: [...changes, ...created]
      .map(({ seq, at, actor, role, reason, before, after }) => ({ seq, at, actor, role, reason, before, after }))
      .sort((a, b) => a.seq - b.seq),
    scan: {
      at: scan.at,
      looked: scan.looked,
      found: scan.foreign.filter((f) => f.tenant === id),
      unclaimed: scan.foreign.filter((f) => f.tenant === null && f.kind !== 'unread'),
      unread: scan.foreign.filter((f) => f.kind === 'unread'),
    },
    controlPlane: { region: config.controlRegion },
    auditHead: `${head.seq}:${head.hash}`,
    outside:
      residency === null ? [] : outsideOf(residency.regions, residency.transit, { rooms, keys, backups, gateways }),
  }
}

function keptTo(config: Config, tenant: TenantRecord, since: string | null): KeptToText {
  const residency = residencyOf(config, tenant)
  return {
    profile: tenant.profile ?? null,
    pinned: tenant.pinned ?? null,
    regions: residency === null ? null : [...residency.regions],
    transit: residency?.transit ?? true,
    encryption: residency?.profile?.encryption ?? null,
    retentionDays: residency?.profile?.retentionDays ?? null,
    since,
  }
}

function homesOf(sql: postgres.Sql, id: string): Promise<HomeRow[]> {
  return sql<HomeRow[]>`
    select region, cluster, database, schema, isolation, from_at as "from", until_at as "until", is_reconstructed as "isReconstructed"
    from placement_history where tenant_id = ${id} order by id`
}

async function gatewaysOf(sql: postgres.Sql, id: string): Promise<GatewayStay[]> {
  const rows = await sql<(Omit<GatewayStay, 'from' | 'until'> & { from: Date; until: Date })[]>`
    select g.id as gateway, g.region, g.host, s.how, s.first_at as "from", s.last_at as "until"
    from gateway_tenants s join gateways g on g.id = s.gateway_id where s.tenant_id = ${id} order by s.first_at, g.id`
  return rows.map(({ from, until, ...row }) => ({ ...row, from: from.toISOString(), until: until.toISOString() }))
}

async function keysOf({ config, keysOf }: ReportDeps, tenant: TenantRecord): Promise<KeyPlace[]> {
  const places: KeyPlace[] = []
  for (const { name, clusters } of config.regions.values()) {
    const keys = await keysOf(name).list(tenant.id)
    const good = keys.filter((k) => k.revokedAt === null).length
    const where = `${clusters.keys().next().value}/${REGION_DATABASE}`
    if (keys.length > 0)
      places.push({ region: name, where, what: `${keys.length} API keys as hashes, ${good} of them good` })
    if (name !== tenant.region) continue
    // Which key of it is in use only the region's own processes know: the control plane is not given the ring.
    places.push({ region: name, where: 'processes of the region', what: `key ring of ${name}` })
  }
  return places
}

/** What a region keeps of any tenant; of a tenant at home elsewhere, routing facts alone. */
async function cachesOf({ config, regions }: ReportDeps, { region: home }: TenantRecord): Promise<CachePlace[]> {
  const facts = [...config.regions.keys()].map(async (name) => ({ name, ...(await regions.about(name)) }))
  return (await Promise.all(facts)).flatMap(({ name, redisHost }) => {
    const own = name === home ? ', hashes of its API keys, and counts of its requests' : ''
    const places = [{ region: name, where: 'memory of gateways', holds: `routing facts${own}` }]
    if (redisHost !== null) {
      const counts = name === home ? ', and counts of its requests' : ''
      places.push({
        region: name,
        where: `Redis ${redisHost}`,
        holds: `routing facts, signed${counts}`,
      })
    }
    if (config.directory.persistFolder !== undefined) {
      places.push({
        region: name,
        where: 'disks of gateways',
        holds: `routing facts, sealed with the key ring of ${name}`,
      })
    }
    return places
  })
}

function backupsOf(config: Config, clusters: ReadonlySet<string>): BackupPlace[] {
  return [...config.regions.values()].flatMap((r) =>
    [...r.clusters.values()]
      .filter((c) => clusters.has(c.name))
      .flatMap((c) => c.backups.map(({ region, retentionDays }) => ({ of: c.name, region, retentionDays }))),
  )
}

async function tablesOf({ regions }: ReportDeps, { placement }: TenantRecord): Promise<string[]> {
  const cluster = placement && regions.clusters().find((c) => c.name === placement.cluster)
  if (!cluster) return []
  const rows = await withServer(
    adminServerOf(cluster),
    placement.database,
    (sql) =>
      sql<{ name: string }[]>`
      select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
      where n.nspname = ${placement.schema} and c.relkind in ('r', 'p') and not c.relispartition order by 1`,
  )
  return rows.map((r) => r.name)
}
