import type { HttpBindings } from '@hono/node-server'
import type { Context, MiddlewareHandler } from 'hono'
import type { TierConfig } from '../../config/index.ts'
import type { InnkeeperError } from '../../tiers/errors.ts'
import type { Scope } from '../../tiers/keys/types.ts'
import type { Claims, Tenant } from '../../tiers/types.ts'
import type { ObservedRequest } from '../telemetry/requests.ts'
import type { Hop } from './away/hop-token.ts'
import { EdgeResponse } from './response.ts'

/** Who is asking, as the credential proved it. */
export interface Principal {
  /** What named the tenant. An API key may come with a user's JWT: then it is `api_key`, and `user` is set. */
  readonly kind: 'api_key' | 'jwt'
  readonly tenant: Tenant
  readonly keyId: string | null
  readonly scopes: readonly Scope[]
  readonly user: Claims | null
}

export interface GatewayVariables {
  requestId: string
  observed: ObservedRequest
  /** Aborts when the client goes away, the time for an answer is over, or the gateway stops. The reason is an InnkeeperError. */
  signal: AbortSignal
  /** What the gateway that forwarded the request vouches for; left out where none did. */
  hop?: Hop
  /** Why the hop token that came is not believed. */
  hopFault?: InnkeeperError
  principal: Principal
  tenant: Tenant
  tier: TierConfig
  user: Claims | null
}

/**
 * The context of every request. Read variables by `c.get('tenant')` where it is hot: `c.var` makes an object of all
 * of them each time. Without a Node server underneath (a test's `app.request`) the bindings are not there.
 */
export interface GatewayEnv {
  Bindings: Partial<HttpBindings>
  Variables: GatewayVariables
}

export type GatewayContext = Context<GatewayEnv>
export type GatewayMiddleware = MiddlewareHandler<GatewayEnv>

/**
 * Sets a header of the answer, before the handler runs. It goes to the server's response where there is one: so it is
 * there whatever Response the handler makes, and an answer that leaves its Response untouched stays on the fast path.
 *
 * @param name in lower case
 */
export function setHeader(c: GatewayContext, name: string, value: string): void {
  const outgoing = c.env?.outgoing
  if (outgoing instanceof EdgeResponse) outgoing.edgeHeaders[name] = value
  else if (outgoing !== undefined) outgoing.setHeader(name, value)
  else c.header(name, value)
}

export function setHeaders(c: GatewayContext, headers: Readonly<Record<string, string>>): void {
  for (const name in headers) setHeader(c, name, headers[name]!)
}
