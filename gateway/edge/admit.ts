import type { Limits } from '../../config/index.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { TenantId } from '../../tiers/types.ts'
import type { SharedUsage } from './shared-usage.ts'
import { takeToken, waitForTokensMs } from './token-bucket.ts'
import { createUsageBook, type Usage, untilNextDayMs } from './usage.ts'

export interface AdmitOptions {
  /** Shares use with the other gateways of the region; null without a Redis. */
  readonly shared: SharedUsage | null
  readonly now: () => number
}

/** Lets a request in, or throws. What it returns must be given to `release` once, when the request is over. */
export interface Admission {
  admit(tenantId: TenantId, limits: Limits): Usage
  release(usage: Usage): void
  /** What is known of the tenant's use; lets nobody in. */
  usageOf(tenantId: TenantId, limits: Limits): Usage
}

const CONCURRENCY_RETRY_MS = 1_000

/**
 * Limits each tenant by its tier: concurrency in this gateway, then rate, then the day's quota. All is decided from memory,
 * in about a microsecond. A request that is refused counts for nothing.
 *
 * `admit` throws `rate_limited` or `quota_exceeded`, with when to come back.
 */
export function createAdmission({ shared, now }: AdmitOptions): Admission {
  const book = createUsageBook()

  function admit(tenantId: TenantId, limits: Limits): Usage {
    const nowMs = now()
    const usage = book.of(tenantId, limits, nowMs)
    if (usage.underWay >= limits.concurrency) {
      throw new InnkeeperError('rate_limited', `The tenant has ${usage.underWay} requests under way already`, {
        retryAfterMs: CONCURRENCY_RETRY_MS,
        hint: `Its tier allows ${limits.concurrency} at once.`,
      })
    }
    const quota = limits.requestsPerDay
    if (quota !== undefined && usage.today + usage.todayUnsent >= quota) {
      throw new InnkeeperError('quota_exceeded', `The tenant has used up its ${quota} requests of today`, {
        retryAfterMs: untilNextDayMs(nowMs),
        hint: 'The count starts again at midnight UTC.',
      })
    }
    if (!takeToken(usage.bucket, limits, nowMs)) {
      throw new InnkeeperError('rate_limited', 'The tenant makes requests faster than its tier allows', {
        retryAfterMs: waitForTokensMs(usage.bucket, limits, 1),
        hint: `The tier allows ${limits.requestsPerSecond} a second, and ${limits.burst} at once.`,
      })
    }
    usage.underWay++
    if (quota !== undefined) usage.todayUnsent++
    if (shared !== null) {
      usage.unsent++
      shared.note(usage)
    }
    return usage
  }

  function release(usage: Usage): void {
    usage.underWay--
  }

  return { admit, release, usageOf: (tenantId, limits) => book.of(tenantId, limits, now()) }
}
