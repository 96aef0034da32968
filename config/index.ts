export { type AppEnv, type AppTenant, type AppUser, defineRoutes } from './app-env.ts'
export { defineConfig } from './define.ts'
export type { RegionMover } from './mover.ts'
export { type KeyPairs, type PairKey, type PairKeys, type PairPurpose, pairKeys } from './pair-keys.ts'
export type { RegionPeering } from './peering.ts'
export { type PostgresHost, type PostgresUrl, parsePostgresUrl, type SessionTarget } from './postgres-url.ts'
export type { ResidencyProfile } from './residency.ts'
export {
  type ClusterConfig,
  type ClusterFacts,
  type Config,
  ConfigError,
  type ProcessRole,
  type Reach,
  type RegionConfig,
  type RegionSecrets,
  resolveConfig,
  resolveKeyRing,
} from './resolve.ts'
export { type Secret, secret } from './secret.ts'
export type { AwayPolicy, ConfigInput, IdentifyStrategy, JwtConfig, Limits, TierConfig } from './shape.ts'
export { isReferenceTable, ROOM_SCHEMA, referenceTable, room, tenantTable } from './tenant-table.ts'
export type { TlsIdentity, TlsSettings } from './tls.ts'
