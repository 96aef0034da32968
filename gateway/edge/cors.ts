import { type GatewayMiddleware, setHeader } from './env.ts'

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'
/** What a browser's script may read of an answer, beyond the few headers that it always may. */
const EXPOSED = [
  'Content-Range',
  'Content-Location',
  'Location',
  'Preference-Applied',
  'RateLimit',
  'RateLimit-Policy',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'Retry-After',
  'X-Request-Id',
].join(', ')
/** A list of header names, and not a long one: it is given back as it came. */
const HEADER_NAMES = /^[A-Za-z0-9-]+(?:, ?[A-Za-z0-9-]+){0,40}$/
const PREFLIGHT_MAX_AGE_S = '7200'

/**
 * Lets browsers of the given origins in. Credentials travel in headers that a script sets itself, never in cookies, so
 * `Access-Control-Allow-Credentials` is not needed, and `*` is a safe default.
 */
export function cors(origins: readonly string[]): GatewayMiddleware {
  const isAny = origins.includes('*')
  return async function cors(c, next) {
    // Also where there is no Origin: a cache must not give that answer to a browser.
    if (!isAny) setHeader(c, 'vary', 'Origin')
    const { headers } = c.req.raw
    const origin = headers.get('origin')
    if (origin === null) return next()
    const isAllowed = isAny || origins.includes(origin)
    if (isAllowed) setHeader(c, 'access-control-allow-origin', isAny ? '*' : origin)
    if (c.req.method === 'OPTIONS' && headers.has('access-control-request-method')) {
      const asked = headers.get('access-control-request-headers')
      if (isAllowed) {
        setHeader(c, 'access-control-allow-methods', METHODS)
        if (asked !== null && HEADER_NAMES.test(asked)) setHeader(c, 'access-control-allow-headers', asked)
        setHeader(c, 'access-control-max-age', PREFLIGHT_MAX_AGE_S)
      }
      return c.body(null, 204)
    }
    if (isAllowed) setHeader(c, 'access-control-expose-headers', EXPOSED)
    await next()
  }
}
