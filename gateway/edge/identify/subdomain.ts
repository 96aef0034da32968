import { InnkeeperError } from '../../../tiers/errors.ts'
import { isSlug } from '../../../tiers/slug.ts'
import type { Strategy } from './naming.ts'

/**
 * `{slug}.{base domain}`.
 *
 * @param baseDomains  the longest that fits counts, so `eu.example.com` may stand beside `example.com`
 * @param regionHosts  hosts of gateways, which may lie below a base domain and name no tenant
 */
export function bySubdomain(baseDomains: readonly string[], regionHosts: ReadonlySet<string>): Strategy {
  const suffixes = baseDomains.map((d) => `.${d}`).sort((a, b) => b.length - a.length)
  return function subdomain({ host }) {
    if (host === null || host.isAddress || regionHosts.has(host.name) || baseDomains.includes(host.name)) return null
    const suffix = suffixes.find((s) => host.name.endsWith(s))
    if (suffix === undefined) return null
    const slug = host.name.slice(0, -suffix.length)
    if (!isSlug(slug)) {
      throw new InnkeeperError('invalid_request', 'The subdomain is not a tenant slug', {
        field: 'Host',
        hint: 'A slug is one label: lower-case letters, digits and inner dashes.',
      })
    }
    return { kind: 'slug', value: slug, source: 'the subdomain' }
  }
}
