import type { HttpBindings } from '@hono/node-server'
import type { Context, Hono, MiddlewareHandler } from 'hono'
import type { Logger } from 'pino'
import type { Config } from '../../config/index.ts'
import type { ControlPlane } from '../../tiers/control/control-plane.ts'
import type { TenantRecord } from '../../tiers/control/tenant-store.ts'
import type { Role } from '../../tiers/operators/roles.ts'
import type { Statement } from '../../tiers/room/steps.ts'
import type { QueryResult } from '../../tiers/types.ts'
import type { Product } from '../product.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'

export interface AdminEnv {
  Bindings: Partial<HttpBindings>
  Variables: {
    requestId: string
    /** Who is asking: the name of the token. */
    actor: string
    role: Role
    /** That the path names, once it has been looked up. */
    tenant?: TenantRecord
  }
}

export type AdminContext = Context<AdminEnv>
export type AdminMiddleware = MiddlewareHandler<AdminEnv>
export type AdminApp = Hono<AdminEnv>

export interface AdminApiOptions {
  /** The control plane's. */
  readonly config: Config
  readonly control: ControlPlane
  readonly telemetry: Telemetry
  readonly product: Product
  /** Runs one statement in a tenant's room with the tenant's rights; without it there is no SQL by the admin API. */
  readonly tenantSql?: (tenant: string, statement: Statement) => Promise<QueryResult>
  /** The address that the server listens on; the configuration's `admin.host` where left out. */
  readonly host?: string | undefined
  /** Host names by which the API may be reached, beside loopback names, addresses and `host`. */
  readonly allowedHosts?: readonly string[]
  /** What `/metrics` says; by default what the control plane counts itself. */
  readonly metricsText?: () => Promise<string>
}

/** What the endpoints work with. */
export interface AdminDeps extends AdminApiOptions {
  readonly log: Logger
}
