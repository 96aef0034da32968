import { LRUCache } from 'lru-cache'
import type { Config, IdentifyStrategy } from '../../config/index.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { GatewayContext } from './env.ts'
import { type Host, parseHost } from './host.ts'
import { byDomain } from './identify/domain.ts'
import { byHeader } from './identify/header.ts'
import type { Naming, Strategy } from './identify/naming.ts'
import { byPath } from './identify/path.ts'
import { bySubdomain } from './identify/subdomain.ts'
import type { Peers } from './peer.ts'
import { readTenantPath } from './tenant-path.ts'

/** All identifiers that a request holds, besides its credential, in the configured order. Nothing is looked up. */
export type Identify = (c: GatewayContext) => readonly Naming[]

/**
 * @returns a function that throws `invalid_request` for an identifier that is present but malformed: such a one never
 *          falls through to the next strategy
 */
export function createIdentify(config: Config, peers: Peers): Identify {
  const { strategies, baseDomains } = config.identify
  const bases = baseDomains.map((d) => d.toLowerCase())
  const regionHosts = new Set([...config.regions.values()].map((r) => parseHost(new URL(r.url).host).name))
  const isOurs = (host: string) => regionHosts.has(host) || bases.some((b) => host === b || host.endsWith(`.${b}`))

  const known: Record<IdentifyStrategy, Strategy | null> = {
    domain: byDomain(isOurs),
    subdomain: bySubdomain(bases, regionHosts),
    path: byPath,
    header: byHeader,
    // The credential names its tenant when it is authenticated.
    credential: null,
  }
  const chosen = strategies.flatMap((name) => known[name] ?? [])
  const readsPath = strategies.includes('path')
  const hostOf = createHostReader(peers)

  return function identify(c) {
    const path = readsPath ? readTenantPath(c.req.raw) : null
    if (path?.isMalformed) {
      throw new InnkeeperError('invalid_request', 'The path does not name a tenant: /t/ is followed by a slug', {
        field: 'path',
        hint: 'Write /t/{slug}/..., the slug in lower case and not percent-encoded.',
      })
    }
    const tenantHeader = c.req.raw.headers.get('x-tenant-id')
    const clues = {
      host: hostOf(c),
      pathSlug: path?.slug ?? null,
      // From anyone else it is as if the header were not there.
      tenantHeader: tenantHeader !== null && peers.isTrusted(c) ? tenantHeader : null,
    }
    const namings: Naming[] = []
    for (const strategy of chosen) {
      const naming = strategy(clues)
      if (naming !== null) namings.push(naming)
    }
    return namings
  }
}

/** The host that the client asked for: Host, or X-Forwarded-Host from a trusted peer. */
function createHostReader(peers: Peers): (c: GatewayContext) => Host | null {
  const parsed = new LRUCache<string, Host>({ max: 1_000 })
  const parse = (text: string): Host => {
    let host = parsed.get(text)
    if (host === undefined) {
      host = Object.freeze(parseHost(text))
      parsed.set(text, host)
    }
    return host
  }
  return function hostOf(c) {
    const { headers, url } = c.req.raw
    const forwarded = headers.get('x-forwarded-host')
    const host = headers.get('host')
    const authority = url.slice(url.indexOf('://') + 3, url.indexOf('/', url.indexOf('://') + 3))
    // A request line may name a host too. One that disagrees with the header would be read either way by someone.
    if (host !== null && host !== authority && parse(host).name !== parse(authority).name) {
      throw new InnkeeperError('invalid_request', 'The request line and the Host header name different hosts', {
        field: 'Host',
      })
    }
    if (forwarded !== null && peers.isTrusted(c)) return parse(forwarded)
    return host === null && authority === '' ? null : parse(host ?? authority)
  }
}
