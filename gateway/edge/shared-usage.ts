import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import type { Usage } from './usage.ts'

/**
 * Shares use between the gateways of a region through its Redis, behind the requests' backs: a request is decided by the
 * gateway's own bucket at once, and several times a second each gateway adds what it let in to a common count and takes
 * what the others let in out of its own bucket. With Redis gone each gateway goes on by itself, so a tenant may get its
 * limit at each of them; a request never waits for Redis nor fails by it.
 */
export interface SharedUsage {
  /** Notes that the tenant has use to tell of. */
  note(usage: Usage): void
  close(): Promise<void>
}

export interface SharedUsageOptions {
  readonly redis: Redis
  readonly region: string
  readonly log: Logger
  readonly now: () => number
  readonly intervalMs?: number
}

/** Of the count of requests: long enough to see what others did since last time, however idle a gateway was. */
const WINDOW_S = 60
/** Of a day's count: it must outlive its day. */
const QUOTA_KEPT_S = 2 * 86_400
const EXCHANGE_TIMEOUT_MS = 2_000

/** What was true when the region last answered: the bucket is worked out from there. */
interface Exchange {
  total: number
  tokens: number
  atMs: number
}

export function createSharedUsage({ redis, region, log, now, intervalMs = 200 }: SharedUsageOptions): SharedUsage {
  const common = { storeClient: redis, points: Number.MAX_SAFE_INTEGER, rejectIfRedisNotReady: true }
  const rate = new RateLimiterRedis({ ...common, keyPrefix: `innkeeper:${region}:rate`, duration: WINDOW_S })
  const quota = new RateLimiterRedis({ ...common, keyPrefix: `innkeeper:${region}:day`, duration: QUOTA_KEPT_S })
  const exchanges = new WeakMap<Usage, Exchange>()
  let dirty = new Set<Usage>()
  let running: Promise<void> | null = null
  let isDown = false

  async function exchangeRate(usage: Usage): Promise<void> {
    const sent = usage.unsent
    usage.unsent = 0
    const before = exchanges.get(usage)
    const { consumedPoints: total } = await rate.penalty(usage.tenantId, sent)
    const atMs = now()
    if (before !== undefined) {
      const others = Math.max(0, total >= before.total ? total - before.total - sent : total - sent)
      const { requestsPerSecond, burst } = usage.limits
      const refill = (Math.max(0, atMs - before.atMs) / 1000) * requestsPerSecond
      // Never further below zero than one burst, so that a tenant that stops is served again soon.
      const shared = Math.max(-burst, before.tokens + refill - sent - others)
      usage.bucket.tokens = Math.min(usage.bucket.tokens, shared)
    }
    exchanges.set(usage, { total, tokens: usage.bucket.tokens, atMs })
  }

  async function exchangeQuota(usage: Usage): Promise<void> {
    const sent = usage.todayUnsent
    if (usage.limits.requestsPerDay === undefined || sent === 0) return
    const { day } = usage
    usage.todayUnsent = 0
    try {
      const { consumedPoints } = await quota.penalty(`${usage.tenantId}:${day}`, sent)
      if (usage.day === day) usage.today = Math.max(usage.today, consumedPoints)
    } catch (error) {
      // A day's count is worth keeping until Redis is back; a second's is not.
      if (usage.day === day) usage.todayUnsent += sent
      throw error
    }
  }

  async function exchangeAll(): Promise<void> {
    const batch = dirty
    dirty = new Set()
    const settled = await Promise.allSettled(
      [...batch].map(async (usage) => {
        try {
          await Promise.all([exchangeRate(usage), exchangeQuota(usage)])
        } catch (error) {
          exchanges.delete(usage)
          throw error
        }
      }),
    )
    const failed = settled.find((s) => s.status === 'rejected')
    if (failed !== undefined && !isDown) {
      log.warn({ err: failed.reason }, 'Redis does not answer: rate limits hold for each gateway by itself')
    }
    if (failed === undefined && isDown) log.info('Redis answers again: rate limits are shared')
    isDown = failed !== undefined
  }

  const timer = setInterval(() => {
    if (running !== null || dirty.size === 0) return
    running = withinMs(exchangeAll(), EXCHANGE_TIMEOUT_MS).finally(() => {
      running = null
    })
  }, intervalMs)
  timer.unref()

  return {
    note(usage) {
      dirty.add(usage)
    },
    async close() {
      clearInterval(timer)
      await running
      // The day's count so far would be lost with the process.
      await withinMs(exchangeAll(), EXCHANGE_TIMEOUT_MS)
    },
  }
}

/** Waits at most that long: a Redis that hangs must not stop the exchange for good. */
async function withinMs(work: Promise<void>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs)
  })
  await Promise.race([work, limit])
  clearTimeout(timer)
}
