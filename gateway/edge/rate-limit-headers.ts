import type { Limits } from '../../config/index.ts'
import { waitForTokensMs } from './token-bucket.ts'
import type { Usage } from './usage.ts'

/**
 * `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers: the policy is the bucket and how long it takes
 * to fill, the state what is left in it and when it is full again. Both are on every answer of a tenant.
 */
export function rateLimitHeaders(limits: Limits, usage: Usage): Record<string, string> {
  const fillS = Math.ceil(limits.burst / limits.requestsPerSecond)
  return {
    'ratelimit-policy': `"tenant";q=${limits.burst};w=${fillS}`,
    ratelimit: `"tenant";r=${left(usage)};t=${untilFullS(limits, usage)}`,
  }
}

/** On a refusal also the three headers of the draft's earlier versions, which more clients read today. */
export function refusedHeaders(limits: Limits, usage: Usage): Record<string, string> {
  return {
    ...rateLimitHeaders(limits, usage),
    'ratelimit-limit': String(limits.burst),
    'ratelimit-remaining': String(left(usage)),
    'ratelimit-reset': String(untilFullS(limits, usage)),
  }
}

function left({ bucket }: Usage): number {
  return Math.max(0, Math.floor(bucket.tokens))
}

function untilFullS(limits: Limits, { bucket }: Usage): number {
  return Math.ceil(waitForTokensMs(bucket, limits, limits.burst) / 1000)
}
