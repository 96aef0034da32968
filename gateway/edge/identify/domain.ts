import type { Strategy } from './naming.ts'

/**
 * A host of the customer's own. Any host is one that is not ours: not a region's, not a base domain or below one, no
 * address, and no single label, which is what a service is called inside a cluster and never a public domain.
 *
 * @param isOurs tells hosts of the regions and base domains, and names below them
 */
export function byDomain(isOurs: (host: string) => boolean): Strategy {
  return function domain({ host }) {
    if (host === null || host.isAddress || !host.name.includes('.') || isOurs(host.name)) return null
    return { kind: 'domain', value: host.name, source: 'the host' }
  }
}
