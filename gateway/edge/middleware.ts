import type { GatewayMiddleware } from './env.ts'

export interface MiddlewareParts {
  readonly requestId: GatewayMiddleware
  readonly hop: GatewayMiddleware
  readonly observe: GatewayMiddleware
  readonly inFlight: GatewayMiddleware
  readonly secureHeaders: GatewayMiddleware
  readonly cors: GatewayMiddleware
  readonly health: GatewayMiddleware
  readonly errorPages: GatewayMiddleware
  /** Of the data API; left out where it has none. */
  readonly apiPage?: GatewayMiddleware | undefined
  readonly tenant: GatewayMiddleware
}

/** Everything in front of a tenant's route, in order. Headers of the answer are set on the way in, where it is cheap. */
export function middlewareInOrder(parts: MiddlewareParts): readonly GatewayMiddleware[] {
  return [
    // First, so that every answer has an id, whatever goes wrong after it.
    parts.requestId,
    // Before anything that asks who the client is. It answers nothing itself.
    parts.hop,
    // Before anything that can answer by itself, so that no request goes uncounted.
    parts.observe,
    // Before anything that can wait, so that all of it ends with the client, the deadline or a shutdown.
    parts.inFlight,
    // Before anything that can fail: an error's answer needs these as much.
    parts.secureHeaders,
    // Before the credential is asked for: a preflight has none, and a script may only read a 401 that has CORS headers.
    parts.cors,
    // Before the tenant: it has none, and must answer while the directory is down.
    parts.health,
    // Before the tenant: it is for those who were refused, too.
    parts.errorPages,
    // Before the tenant: a browser has no credential until somebody has typed one in.
    ...(parts.apiPage === undefined ? [] : [parts.apiPage]),
    // Last: identify, authenticate, home region, scope, limits. Behind it everything belongs to a tenant.
    parts.tenant,
  ]
}
