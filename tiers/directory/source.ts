import type postgres from 'postgres'
import type { Versioned } from '../cache/loading-cache.ts'
import type { Placement, Tenant, TenantId } from '../types.ts'
import { type TenantColumns, tenantFrom } from './tenant-row.ts'
import type { TenantList } from './types.ts'

/** The directory as the control database has it; every answer says up to which change it is right. */
export interface DirectorySource extends TenantList {
  bySlug(slug: string): Promise<Versioned<Tenant | null>>
  byId(id: string): Promise<Versioned<Tenant | null>>
  byDomain(domain: string): Promise<Versioned<TenantId | null>>
}

/** What is a bigint there comes as text, and everything is null where there is no such tenant, or no room of its yet. */
type Row = Omit<TenantColumns, 'id' | 'version'> &
  Omit<Placement, 'cluster' | 'epoch'> & {
    readonly as_of: string
    readonly id: TenantId | null
    readonly version: string
    readonly cluster: string | null
    readonly epoch: string
  }

const COLUMNS = `t.id, t.slug, t.tier, t.region, t.status, t.away, t.profile, t.pinned, t.version,
  p.cluster, p.database, p.schema, p.isolation, p.epoch`

/**
 * One statement for each question. The highest change number stands in the same snapshot as the answer, and numbers are
 * given in the order of commit: so the answer holds until a higher one names its key.
 */
export function directorySource(sql: postgres.Sql): DirectorySource {
  const columns = sql.unsafe(COLUMNS)
  const oneWhere = async (condition: postgres.Fragment): Promise<Versioned<Tenant | null>> => {
    const [row] = await sql<Row[]>`
      select (select coalesce(max(seq), 0) from changes) as as_of, ${columns}
      from (select) one left join tenants t on ${condition} left join placements p on p.tenant_id = t.id`
    return { value: row!.id === null ? null : recordOf(row!), asOf: Number(row!.as_of) }
  }
  return {
    bySlug: (slug) => oneWhere(sql`t.slug = ${slug}`),
    byId: (id) => oneWhere(sql`t.id = ${id}`),
    async byDomain(domain) {
      const [row] = await sql<{ as_of: string; tenant_id: TenantId | null }[]>`
        select (select coalesce(max(seq), 0) from changes) as as_of, d.tenant_id
        from (select) one left join domains d on d.domain = ${domain}`
      return { value: row!.tenant_id, asOf: Number(row!.as_of) }
    },
    async list({ regions, tiers, after, limit }) {
      const rows = await sql<Row[]>`
        select ${columns}
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

function recordOf({ id, version, cluster, database, schema, isolation, epoch, ...row }: Row): Tenant {
  const placement = cluster === null ? null : { cluster, database, schema, isolation, epoch: Number(epoch) }
  return tenantFrom({ ...row, id: id!, version: Number(version) }, placement)
}
