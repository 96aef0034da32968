import { InnkeeperError, isInnkeeperError } from '../../../tiers/errors.ts'
import type { Tenant } from '../../../tiers/types.ts'
import type { GatewayContext, GatewayMiddleware } from '../env.ts'
import { HOP_HEADER, type HopTokens } from './hop-token.ts'
import { originalHost } from './original.ts'

/**
 * Reads what another gateway vouches for. A header that is not good is refused only where a tenant's request begins
 * ({@link requireGoodHop}), so that the refusal is logged and answered like any other.
 *
 * @param tokens null where this gateway takes part in no forwarding: then whoever sends the header is refused
 */
export function readHop(tokens: HopTokens | null): GatewayMiddleware {
  return async function hop(c, next) {
    const token = c.req.raw.headers.get(HOP_HEADER)
    if (token !== null) {
      try {
        if (tokens === null)
          throw new InnkeeperError('unauthenticated', 'This gateway takes nothing that was forwarded')
        const { method = '', url: target = '', rawHeaders: headers = [] } = c.env?.incoming ?? {}
        const host = originalHost(c.req.raw.headers, true)
        c.set('hop', await tokens.open(token, { method, target, host, headers }))
      } catch (error) {
        if (!isInnkeeperError(error)) throw error
        c.set('hopFault', error)
      }
    }
    await next()
  }
}

/** @throws InnkeeperError `unauthenticated` where the request carries a hop token that is not good */
export function requireGoodHop(c: GatewayContext): void {
  const fault = c.get('hopFault')
  if (fault !== undefined) throw fault
}

/** @throws InnkeeperError `tenant_mismatch` where a gateway forwarded the request as another tenant's */
export function requireHopOf(c: GatewayContext, tenant: Tenant): void {
  const hop = c.get('hop')
  if (hop === undefined || hop.tenant === tenant.id) return
  throw new InnkeeperError('tenant_mismatch', 'The request was forwarded for another tenant than its credential names')
}
