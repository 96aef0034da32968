/**
 * What gateways may read of the control database, column by column: routing facts. FIELDS.md says what each is, and it is
 * all that one region's gateways learn of another's tenants.
 */
export const READABLE: Readonly<Record<string, readonly string[]>> = {
  tenants: ['id', 'slug', 'tier', 'region', 'status', 'away', 'profile', 'pinned', 'version'],
  placements: ['tenant_id', 'cluster', 'database', 'schema', 'isolation', 'epoch'],
  domains: ['domain', 'tenant_id'],
  changes: ['seq', 'keys'],
}
