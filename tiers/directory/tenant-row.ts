import type { Placement, Tenant } from '../types.ts'

/** The columns of a tenant's row that are routing facts. */
export type TenantColumns = Required<Omit<Tenant, 'placement'>>

/** What the directory knows of a tenant, of whatever else was read with its row. Frozen: caches hand it to everyone. */
export function tenantFrom(row: TenantColumns, placement: Placement | null): Tenant {
  const { id, slug, tier, region, status, away, profile, pinned, version } = row
  return Object.freeze({
    id,
    slug,
    tier,
    region,
    status,
    away,
    profile,
    pinned: pinned && Object.freeze(pinned),
    version,
    placement: placement && Object.freeze(placement),
  })
}
