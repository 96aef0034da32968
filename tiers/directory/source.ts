import type postgres from 'postgres'
import type { Versioned } from '../cache/loading-cache.ts'
import type { AwayPolicy, Isolation, Tenant, TenantId, TenantStatus } from '../types.ts'
import type { TenantList } from './types.ts'

/** The directory as the control database has it; every answer says up to which change it is right. */
export interface DirectorySource extends TenantList {
  bySlug(slug: string): Promise<Versioned<Tenant | null>>
  byId(id: string): Promise<Versioned<Tenant | null>>
  byDomain(domain: string): Promise<Versioned<TenantId | null>>
}

interface Row {
  as_of: string
  id: TenantId | null
  slug: string
  tier: string
  region: string
  status: TenantStatus
  away: AwayPolicy | null
  profile: string | null
  pinned: string[] | null
  version: string
  cluster: string | null
  database: string
  schema: string
  isolation: Isolation
  epoch: string
}

/**
 * One statement for each question. The highest change number stands in the same snapshot as the answer, and numbers are
 * given in the order of commit: so the answer holds until a higher one names its key.
 */
export function directorySource(sql: postgres.Sql): DirectorySource {
  return {
    async bySlug(slug) {
      return tenantOf(
        await sql<Row[]>`
        select (select coalesce(max(seq), 0) from changes) as as_of, t.id, t.slug, t.tier, t.region, t.status, t.away, t.profile, t.pinned, t.version,
          p.cluster, p.database, p.schema, p.isolation, p.epoch
        from (select) one left join tenants t on t.slug = ${slug} left join placements p on p.tenant_id = t.id`,
      )
    },
    async byId(id) {
      return tenantOf(
        await sql<Row[]>`
        select (select coalesce(max(seq), 0) from changes) as as_of, t.id, t.slug, t.tier, t.region, t.status, t.away, t.profile, t.pinned, t.version,
          p.cluster, p.database, p.schema, p.isolation, p.epoch
        from (select) one left join tenants t on t.id = ${id} left join placements p on p.tenant_id = t.id`,
      )
    },
    async byDomain(domain) {
      const [row] = await sql<{ as_of: string; tenant_id: TenantId | null }[]>`
        select (select coalesce(max(seq), 0) from changes) as as_of, d.tenant_id
        from (select) one left join domains d on d.domain = ${domain}`
      return { value: row!.tenant_id, asOf: Number(row!.as_of) }
    },
    async list({ regions, tiers, after, limit }) {
      const rows = await sql<Row[]>`
        select t.id, t.slug, t.tier, t.region, t.status, t.away, t.profile, t.pinned, t.version,
          p.cluster, p.database, p.schema, p.isolation, p.epoch
        from tenants t join placements p on p.tenant_id = t.id
        where t.status = 'active'
          ${regions ? sql`and t.region = any (${[...regions]})` : sql``}
          ${tiers ? sql`and t.tier = any (${[...tiers]})` : sql``}
          ${after ? sql`and t.id > ${after}` : sql``}
        order by t.id limit ${limit}`
      return rows.map(recordOf)
    },
  }
}

function tenantOf([row]: Row[]): Versioned<Tenant | null> {
  return { value: row!.id === null ? null : recordOf(row!), asOf: Number(row!.as_of) }
}

function recordOf(row: Row): Tenant {
  const {
    id,
    slug,
    tier,
    region,
    status,
    away,
    profile,
    pinned,
    version,
    cluster,
    database,
    schema,
    isolation,
    epoch,
  } = row
  const placement =
    cluster === null ? null : Object.freeze({ cluster, database, schema, isolation, epoch: Number(epoch) })
  return Object.freeze({
    id: id!,
    slug,
    tier,
    region,
    status,
    away,
    profile,
    pinned: pinned && Object.freeze(pinned),
    placement,
    version: Number(version),
  })
}
