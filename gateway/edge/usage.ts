import { LRUCache } from 'lru-cache'
import type { Limits } from '../../config/index.ts'
import type { TenantId } from '../../tiers/types.ts'
import { fullBucket, type TokenBucket } from './token-bucket.ts'

/** What this gateway knows of one tenant's use. */
export interface Usage {
  readonly tenantId: TenantId
  readonly bucket: TokenBucket
  limits: Limits
  underWay: number
  /** Requests let in since the region was last told. */
  unsent: number
  /** The day, in UTC, that the next two belong to; a new day starts both at 0. */
  day: number
  /** Requests of that day, of all gateways as far as known. */
  today: number
  todayUnsent: number
}

export interface UsageBook {
  of(tenantId: TenantId, limits: Limits, nowMs: number): Usage
}

const DAY_MS = 86_400_000
/** Tenants remembered. One that is forgotten was idle the longest, so its bucket is full again anyway. */
const TENANTS_MAX = 50_000

export function dayOf(nowMs: number): number {
  return Math.floor(nowMs / DAY_MS)
}

export function untilNextDayMs(nowMs: number): number {
  return (dayOf(nowMs) + 1) * DAY_MS - nowMs
}

export function createUsageBook(): UsageBook {
  const book = new LRUCache<TenantId, Usage>({ max: TENANTS_MAX })
  return {
    of(tenantId, limits, nowMs) {
      let usage = book.get(tenantId)
      if (usage === undefined) {
        const bucket = fullBucket(limits, nowMs)
        usage = { tenantId, bucket, limits, underWay: 0, unsent: 0, day: dayOf(nowMs), today: 0, todayUnsent: 0 }
        book.set(tenantId, usage)
      }
      // The tier may have changed since.
      usage.limits = limits
      if (usage.day !== dayOf(nowMs)) {
        usage.day = dayOf(nowMs)
        usage.today = 0
        usage.todayUnsent = 0
      }
      return usage
    },
  }
}
