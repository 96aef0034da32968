import { InnkeeperError } from '../../../tiers/errors.ts'
import type { Tenant, TenantId } from '../../../tiers/types.ts'
import type { PeerRegion } from './peer-pools.ts'

const RETRY_MS = 1_000

export interface Capacity {
  /**
   * @returns gives the place back
   * @throws InnkeeperError `rate_limited` at the tenant's own limit, `overloaded` at the region's
   */
  take(peer: PeerRegion, tenant: Tenant, concurrency: number): () => void
}

/** Bounds what is under way to other regions: a home region that is slow must not fill this gateway, nor one tenant a region's share. */
export function createCapacity(requestsMax: number): Capacity {
  const tenants = new Map<TenantId, number>()
  return {
    take(peer, tenant, concurrency) {
      const underWay = tenants.get(tenant.id) ?? 0
      if (underWay >= concurrency) {
        throw new InnkeeperError('rate_limited', `The tenant has ${underWay} requests under way already`, {
          retryAfterMs: RETRY_MS,
          hint: `Its tier allows ${concurrency} at once.`,
        })
      }
      if (peer.underWay >= requestsMax) {
        throw new InnkeeperError('overloaded', `Too many requests are under way to region ${tenant.region}`, {
          retryAfterMs: RETRY_MS,
        })
      }
      peer.underWay++
      tenants.set(tenant.id, underWay + 1)
      return () => {
        peer.underWay--
        const left = (tenants.get(tenant.id) ?? 1) - 1
        if (left === 0) tenants.delete(tenant.id)
        else tenants.set(tenant.id, left)
      }
    },
  }
}
