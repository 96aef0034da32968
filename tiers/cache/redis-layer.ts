import type { Redis } from 'ioredis'
import type { Versioned } from './loading-cache.ts'

/** A cache that the gateways of a region share. Losing it costs time, never rightness. */
export interface SharedCache {
  /** Undefined when it holds nothing valid, or does not answer. */
  get<T>(key: string): Promise<Versioned<T> | undefined>
  put(key: string, answer: Versioned<unknown>): void
  invalidate(key: string, seq: number): void
}

/**
 * A slow reader must not put an old answer over an invalidation: the marker of the last change is compared inside Redis,
 * where nothing comes between the look and the write.
 */
const PUT = `
local changed = redis.call('get', KEYS[2])
if changed and tonumber(changed) > tonumber(ARGV[2]) then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1`

const INVALIDATE = `
local changed = redis.call('get', KEYS[2])
if not changed or tonumber(changed) < tonumber(ARGV[1]) then redis.call('set', KEYS[2], ARGV[1], 'PX', ARGV[2]) end
redis.call('del', KEYS[1])
return 1`

/**
 * @param prefix distinguishes what is cached, such as `directory`
 * @param onError for the log and the metrics: Redis did not answer
 */
export function redisLayer(redis: Redis, prefix: string, ttlMs: number, onError: (error: unknown) => void): SharedCache {
  // A hash tag keeps an answer and its marker on one node of a Redis cluster.
  const entry = (key: string) => `ink:{${prefix}:${key}}`
  const marker = (key: string) => `ink:{${prefix}:${key}}:changed`
  const ready = () => redis.status === 'ready'
  return {
    async get<T>(key: string) {
      if (!ready()) return undefined
      try {
        const [text, changed] = await redis.mget(entry(key), marker(key))
        if (text == null) return undefined
        const answer = JSON.parse(text) as Versioned<T>
        return changed != null && Number(changed) > answer.asOf ? undefined : answer
      } catch (error) {
        onError(error)
        return undefined
      }
    },
    put(key, answer) {
      if (!ready()) return
      redis.eval(PUT, 2, entry(key), marker(key), JSON.stringify(answer), answer.asOf, ttlMs).catch(onError)
    },
    invalidate(key, seq) {
      if (!ready()) return
      // The marker outlives every answer that could still be on its way.
      redis.eval(INVALIDATE, 2, entry(key), marker(key), seq, ttlMs * 2).catch(onError)
    },
  }
}
