import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import type { Versioned } from './loading-cache.ts'
import { within } from './within.ts'

/** A cache that the gateways of a region share. Losing it costs time, never rightness. */
export interface SharedCache {
  /** Undefined when it holds nothing valid, or does not answer. */
  get<T>(key: string): Promise<Versioned<T> | undefined>
  put(key: string, answer: Versioned<unknown>): void
  invalidate(key: string, seq: number): void
  close(): void
}

export interface RedisLayerOptions {
  readonly redis: Redis
  /** Distinguishes what is cached, such as `directory`. */
  readonly prefix: string
  readonly ttlMs: number
  /** The region's key: what others write into Redis is not believed. */
  readonly regionKey: Buffer
  /** For the log and the metrics: Redis did not answer. */
  readonly onError: (error: unknown) => void
}

/**
 * A slow reader must not put an old answer over an invalidation: the marker of the last change is compared inside Redis,
 * where nothing comes between the look and the write.
 */
const PUT = `
local changed = redis.pcall('get', KEYS[2])
changed = type(changed) == 'string' and tonumber(changed)
if changed and changed > tonumber(ARGV[2]) then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1`

const INVALIDATE = `
local changed = redis.pcall('get', KEYS[2])
changed = type(changed) == 'string' and tonumber(changed)
if not changed or changed < tonumber(ARGV[1]) then redis.call('set', KEYS[2], ARGV[1], 'PX', ARGV[2]) end
redis.call('del', KEYS[1])
return 1`

const TIMEOUT_MS = 150
/** For how long nobody asks a Redis that did not answer: so that it slows one look-up, not all of them. */
const PAUSE_MS = 1_000
const UNSENT_MAX = 50_000
const MAC_CHARS = 43

/** Signed with the time that it lives for: Redis may be told to keep it, or be given it back. */
type Timed<T> = Versioned<T> & { readonly until: number }

/** Every entry is signed together with its key, so that neither a changed record nor one from under another key is believed. */
export function redisLayer({ redis, prefix, ttlMs, regionKey, onError }: RedisLayerOptions): SharedCache {
  const macKey = Buffer.from(hkdfSync('sha256', regionKey, 'innkeeper', `cache:${prefix}`, 32))
  const macOf = (key: string, json: string) =>
    createHmac('sha256', macKey).update(`${key}\n`).update(json).digest('base64url')
  // A hash tag keeps an answer and its marker on one node of a Redis cluster.
  const entry = (key: string) => `ink:{${prefix}:${key}}`
  const marker = (key: string) => `ink:{${prefix}:${key}}:changed`
  /** Invalidations that Redis was not told of: it may still hold what they are about. */
  const unsent = new LRUCache<string, number>({ max: UNSENT_MAX })
  let pausedUntilMs = 0
  let retry: NodeJS.Timeout | null = null
  let closed = false

  const usable = () => redis.status === 'ready' && performance.now() >= pausedUntilMs
  const failed = (error: unknown) => {
    pausedUntilMs = performance.now() + PAUSE_MS
    onError(error)
  }
  const send = async (key: string, seq: number): Promise<void> => {
    // The marker outlives every answer that could still be on its way.
    await within(redis.eval(INVALIDATE, 2, entry(key), marker(key), seq, ttlMs * 2), TIMEOUT_MS)
    if (unsent.get(key) === seq) unsent.delete(key)
  }
  const sendUnsent = async (): Promise<void> => {
    retry = null
    try {
      if (usable()) for (const [key, seq] of [...unsent]) await send(key, seq)
    } catch (error) {
      failed(error)
    }
    if (unsent.size > 0) sendLater()
  }
  const sendLater = (): void => {
    if (retry !== null || closed) return
    retry = setTimeout(() => void sendUnsent(), PAUSE_MS / 4).unref()
  }

  const retryLater = (error: unknown): void => {
    failed(error)
    sendLater()
  }

  return {
    async get<T>(key: string) {
      if (!usable() || unsent.has(key)) return undefined
      try {
        const [text, changed] = await within(redis.mget(entry(key), marker(key)), TIMEOUT_MS)
        if (text == null) return undefined
        const json = text.slice(MAC_CHARS)
        if (!same(text.slice(0, MAC_CHARS), macOf(key, json))) return undefined
        const answer = frozen(JSON.parse(json) as Timed<T>)
        if (!(answer.until > Date.now())) return undefined
        return changed != null && Number(changed) > answer.asOf ? undefined : answer
      } catch (error) {
        failed(error)
        return undefined
      }
    },
    put(key, answer) {
      if (!usable()) return
      const timed: Timed<unknown> = { ...answer, until: Date.now() + ttlMs }
      const json = JSON.stringify(timed)
      const text = macOf(key, json) + json
      redis.eval(PUT, 2, entry(key), marker(key), text, answer.asOf, ttlMs).catch(failed)
    },
    invalidate(key, seq) {
      unsent.set(key, seq)
      if (usable()) send(key, seq).catch(retryLater)
      else sendLater()
    },
    close() {
      closed = true
      if (retry !== null) clearTimeout(retry)
    },
  }
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** As unchangeable as what the control database's answers are made into. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const inner of Object.values(value)) frozen(inner)
  return Object.freeze(value)
}
