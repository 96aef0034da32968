export { defineConfig } from './define.ts'
export {
  type ClusterConfig,
  type Config,
  ConfigError,
  type ProcessRole,
  type RegionConfig,
  resolveConfig,
} from './resolve.ts'
export { type Secret, secret } from './secret.ts'
export type { ConfigInput, IdentifyStrategy, JwtConfig, Limits, TierConfig } from './shape.ts'
export { ROOM_SCHEMA, room, tenantTable } from './tenant-table.ts'
