import type { Config } from '../../../config/index.ts'
import type { Tenant } from '../../../tiers/types.ts'
import { parseHost } from '../host.ts'
import type { Naming } from '../identify/naming.ts'

/**
 * Where the tenant's home region takes the same request, path and query kept. The address names the tenant in the way
 * that the client chose, as far as the home region's host allows it:
 *
 *   /t/{slug}/…     the same path
 *   {slug}.us.…     {slug}.eu.…, where the region's own host is a base domain; /t/{slug}/… at the region's host otherwise
 *   a domain of the customer's own leads here, so the region's host, and the credential names the tenant
 *   none            the credential names the tenant there too
 *
 * @param target the request target in origin form
 */
export function homeAddress(tenant: Tenant, namings: readonly Naming[], target: string, config: Config): string {
  const base = config.regions.get(tenant.region)!.url
  const { strategies, baseDomains } = config.identify
  const sources = new Set(namings.map((n) => n.source))
  if (sources.has('the path')) return base + target
  if (sources.has('the subdomain')) {
    const url = new URL(base)
    const host = parseHost(url.host).name
    if (baseDomains.some((d) => d.toLowerCase() === host)) return `${url.protocol}//${tenant.slug}.${url.host}${target}`
    return `${base}/t/${tenant.slug}${target}`
  }
  if (sources.has('the host') && !strategies.includes('credential')) return `${base}/t/${tenant.slug}${target}`
  return base + target
}
