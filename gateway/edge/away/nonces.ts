import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { within } from '../../../tiers/cache/within.ts'

/** Remembers what was used, for as long as it could be used again. */
export interface Nonces {
  /** Whether it was never used before; from now on it was. */
  use(nonce: string): Promise<boolean>
}

/** What this process has seen: in two halves, the older of which is dropped whole. */
export function ownNonces(keptMs: number, now: () => number): Nonces {
  let young = new Set<string>()
  let old = new Set<string>()
  let turnsAtMs = now() + keptMs
  return {
    async use(nonce) {
      const nowMs = now()
      if (nowMs >= turnsAtMs) {
        old = nowMs >= turnsAtMs + keptMs ? new Set() : young
        young = new Set()
        turnsAtMs = nowMs + keptMs
      }
      if (young.has(nonce) || old.has(nonce)) return false
      young.add(nonce)
      return true
    },
  }
}

export interface SharedNoncesOptions {
  readonly own: Nonces
  readonly redis: Redis
  readonly region: string
  readonly keptMs: number
  readonly log: Logger
}

const TIMEOUT_MS = 150
/** For how long nobody asks a Redis that did not answer. */
const PAUSE_MS = 1_000

/**
 * What any gateway of the region has seen, by the region's Redis. While that does not answer each gateway knows what it
 * saw itself: a request that was proved by its signature and its credential is not refused for the want of a cache.
 */
export function sharedNonces({ own, redis, region, keptMs, log }: SharedNoncesOptions): Nonces {
  let pausedUntilMs = 0
  let isDown = false
  const answered = (error: unknown) => {
    if (error !== null) pausedUntilMs = performance.now() + PAUSE_MS
    if (isDown === (error !== null)) return
    isDown = error !== null
    if (isDown) log.warn({ err: error }, 'Redis does not answer: each gateway looks for replayed hops by itself')
    else log.info('Redis answers again: replayed hops are found by all gateways')
  }
  return {
    async use(nonce) {
      if (!(await own.use(nonce))) return false
      if (performance.now() < pausedUntilMs) return true
      try {
        const set = await within(redis.set(`ink:hop:${region}:${nonce}`, '', 'PX', keptMs, 'NX'), TIMEOUT_MS)
        answered(null)
        return set === 'OK'
      } catch (error) {
        answered(error)
        return true
      }
    },
  }
}
