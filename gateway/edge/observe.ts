import { routePath } from 'hono/route'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { Failure } from '../telemetry/requests.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { GatewayContext, GatewayMiddleware } from './env.ts'
import type { Peers } from './peer.ts'
import { whenOver } from './when-over.ts'

/**
 * Follows the request until its answer has left: by the response's `close` event, since a handler is done long before a
 * stream is, and since a client that went away shows nowhere else. What the answer says is untouched.
 */
export function observe(telemetry: Telemetry, peers: Peers): GatewayMiddleware {
  return async function observe(c, next) {
    const observed = telemetry.startRequest({
      requestId: c.get('requestId'),
      method: c.req.method,
      traceparent: c.req.raw.headers.get('traceparent'),
      from: c.get('hop')?.from ?? null,
      isTrusted: peers.isTrusted(c),
    })
    c.set('observed', observed)
    const end = (status: number, bytesIn: number, bytesOut: number) =>
      observed.end({
        status,
        path: c.req.path,
        route: () => routePath(c, -1),
        queryNames: () => queryNames(c),
        bytesIn,
        bytesOut,
        clientIp: peers.clientIp(c),
      })

    const { incoming, outgoing } = c.env ?? {}
    if (incoming !== undefined && outgoing !== undefined) {
      const { socket } = incoming
      const readBefore = socket.bytesRead
      const writtenBefore = socket.bytesWritten
      whenOver(c, () => {
        const status = outgoing.writableFinished ? outgoing.statusCode : 499
        // What a client announces counts when it has come. What came with the head was read before this began, so what was
        // read since is all that there is to know of a body without a declared length, or of one that did not come.
        const bytesIn = incoming.complete ? Number(incoming.headers['content-length'] ?? 0) : 0
        end(status, bytesIn || socket.bytesRead - readBefore, socket.bytesWritten - writtenBefore)
      })
      await observed.within(next)
    } else {
      await observed.within(next)
      end(c.res.status, 0, 0)
    }
    if (c.error !== undefined) observed.setError(failureOf(c.error))
  }
}

/** PostgREST's own codes and SQLSTATEs: a closed set, as a metric's label must be. */
const DIALECT_CODE = /^(?:PGRST[0-9X]\d{2}|[0-9A-Z]{5})$/

/** What went wrong, by code. The data API answers its own errors, in its dialect; anything else unknown is our fault. */
function failureOf(error: Error & { code?: unknown; status?: unknown }): Failure {
  if (error instanceof InnkeeperError) return error
  const { code, status } = error
  if (typeof code !== 'string' || !DIALECT_CODE.test(code)) return { code: 'internal', owner: 'platform' }
  return { code, owner: typeof status === 'number' && status < 500 ? 'client' : 'upstream' }
}

/** The names in the query string, sorted and joined: a filter's column is worth logging, its value is not ours to keep. */
function queryNames(c: GatewayContext): string {
  const { url } = c.req.raw
  const start = url.indexOf('?')
  return start === -1 ? '' : [...new Set(new URLSearchParams(url.slice(start)).keys())].sort().join(',').slice(0, 200)
}
