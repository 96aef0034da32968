/** The data layer as a library: tenants behind one interface, whatever room they live in. */

export type { Directory, DirectoryStatus } from './directory/types.ts'
export type { TenantDatabase } from './drizzle/database.ts'
export { ERROR_CODES, type ErrorCode, type FaultOwner, InnkeeperError, isInnkeeperError } from './errors.ts'
export { type OpenTenants, type OpenTenantsOptions, openTenants } from './open-tenants.ts'
export { type Clusters, openClusters } from './pg/clusters.ts'
export type { RoomSession, RoomTransaction } from './room/session.ts'
export { NO_OBSERVER, type TiersObserver } from './telemetry.ts'
export { createTenants, type ScopeOptions, type Tenants, type TenantsOptions } from './tenants.ts'
export type {
  Claims,
  Isolation,
  IsolationLevel,
  Placement,
  QueryResult,
  SqlQuery,
  Tenant,
  TenantId,
  TenantStatus,
  TransactionOptions,
} from './types.ts'
export { ISOLATIONS, isTenantId } from './types.ts'
