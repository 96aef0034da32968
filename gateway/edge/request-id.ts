import { randomUUID } from 'node:crypto'
import { type GatewayMiddleware, setHeader } from './env.ts'

/** Characters that are safe in a log line, a header and a URN, and few enough to be an id. */
const SANE = /^[A-Za-z0-9._~-]{8,64}$/

/** Names the request, by the caller's X-Request-Id where that is a sane one, so that one id runs through all systems. */
export function requestId(): GatewayMiddleware {
  return async function requestId(c, next) {
    const given = c.req.raw.headers.get('x-request-id')
    const id = given !== null && SANE.test(given) ? given : randomUUID()
    c.set('requestId', id)
    setHeader(c, 'x-request-id', id)
    await next()
  }
}
