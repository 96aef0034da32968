import { getPath as decodedPath } from 'hono/utils/url'
import { isSlug } from '../../tiers/slug.ts'

/** `/t/{slug}/...`: the prefix names the tenant and is not part of the route. */
const PREFIX = '/t/'

export interface TenantPath {
  /** Null for a path without the prefix; `malformed` for one whose slug is none, or is not written plainly. */
  readonly slug: string | null
  readonly isMalformed: boolean
  /** What the router sees. */
  readonly path: string
}

/**
 * Reads a request's path once, for the router and for identification: two readings could disagree on whose request it
 * is. The path is decoded once; a prefix that is only there after decoding is refused, since a proxy in front, or a
 * rule in it, may have read the same bytes otherwise.
 */
export function readTenantPath(request: Request): TenantPath {
  const path = decodedPath(request)
  if (!path.startsWith(PREFIX)) return { slug: null, isMalformed: false, path }
  const end = path.indexOf('/', PREFIX.length)
  const prefix = end === -1 ? path : path.slice(0, end)
  const slug = prefix.slice(PREFIX.length)
  if (!isSlug(slug) || !isWrittenPlainly(request.url, prefix)) return { slug: null, isMalformed: true, path }
  return { slug, isMalformed: false, path: end === -1 ? '/' : path.slice(end) }
}

/** For `new Hono({ getPath })`: routes are written without the tenant's prefix. */
export function tenantlessPath(request: Request): string {
  return readTenantPath(request).path
}

function isWrittenPlainly(url: string, prefix: string): boolean {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const next = url[start + prefix.length]
  return url.startsWith(prefix, start) && (next === undefined || next === '/' || next === '?' || next === '#')
}
