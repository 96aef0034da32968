import type { TLSSocket } from 'node:tls'
import { type GatewayMiddleware, setHeader } from './env.ts'
import type { Peers } from './peer.ts'

/** Headers that make an answer harmless in the wrong hands. A handler that knows better sets its own over them. */
export function secureHeaders(peers: Peers): GatewayMiddleware {
  return async function secureHeaders(c, next) {
    setHeader(c, 'x-content-type-options', 'nosniff')
    // The tenant may be named by a header that no cache knows of: what is stored could be served to another tenant.
    setHeader(c, 'cache-control', 'no-store')
    const proto = peers.isTrusted(c) ? c.req.raw.headers.get('x-forwarded-proto') : null
    if (proto === 'https' || (c.env?.incoming?.socket as TLSSocket | undefined)?.encrypted) {
      setHeader(c, 'strict-transport-security', 'max-age=31536000')
    }
    await next()
  }
}
