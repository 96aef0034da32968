import { createHash } from 'node:crypto'
import { APP_SCHEMA } from '../tenancy/roles.ts'
import type { Isolation, Placement, TenantId } from '../types.ts'

/** The database that holds the shared pool, and the one that holds the schemas, in every cluster that hosts them. */
export const SHARED_DATABASE = 'innkeeper_shared'
export const SCHEMAS_DATABASE = 'innkeeper_schemas'
/** Where a region keeps what is the region's own: API keys. */
export const REGION_DATABASE = 'innkeeper_region'

/**
 * Names a tenant's room. Opaque, because tenants of a cluster can see the names in its catalogue; the same for the same
 * tenant and epoch, so that making a room can be repeated; another with each epoch, so that a move never meets its past.
 */
export function roomFor(isolation: Isolation, cluster: string, tenant: TenantId, epoch: number): Placement {
  const digest = createHash('sha256').update(`${tenant}:${epoch}`).digest('hex').slice(0, 20)
  switch (isolation) {
    case 'shared':
      return { cluster, database: SHARED_DATABASE, schema: APP_SCHEMA, isolation, epoch }
    case 'schema':
      return { cluster, database: SCHEMAS_DATABASE, schema: `r_${digest}`, isolation, epoch }
    case 'database':
      return { cluster, database: `innkeeper_d_${digest}`, schema: APP_SCHEMA, isolation, epoch }
  }
}
