/** A token bucket: a request takes a token, tokens come back at a steady rate, and `burst` of them fit in. */
export interface TokenBucket {
  /** May be below zero, when other gateways used what this one thought was there. */
  tokens: number
  atMs: number
}

export interface BucketLimits {
  readonly requestsPerSecond: number
  readonly burst: number
}

export function fullBucket({ burst }: BucketLimits, nowMs: number): TokenBucket {
  return { tokens: burst, atMs: nowMs }
}

/** @returns whether there was a token to take */
export function takeToken(bucket: TokenBucket, { requestsPerSecond, burst }: BucketLimits, nowMs: number): boolean {
  const elapsedMs = Math.max(0, nowMs - bucket.atMs)
  bucket.tokens = Math.min(burst, bucket.tokens + (elapsedMs / 1000) * requestsPerSecond)
  bucket.atMs = nowMs
  if (bucket.tokens < 1) return false
  bucket.tokens -= 1
  return true
}

/** How long until `tokens` are in the bucket, in milliseconds. */
export function waitForTokensMs(bucket: TokenBucket, { requestsPerSecond }: BucketLimits, tokens: number): number {
  return Math.max(0, ((tokens - bucket.tokens) / requestsPerSecond) * 1000)
}
