import { Redis } from 'ioredis'
import { type RedisServer, redisTls } from '../cache/redis-server.ts'
import type { Placement, TenantId } from '../types.ts'

/** What a region's gateways share in its Redis about a tenant. Entries end by themselves too; a certificate does not wait. */
export interface CachedTenant {
  readonly tenant: TenantId
  readonly slug: string
  readonly region: string
  /** The room that was left. */
  readonly placement: Placement
  /** Whether the tenant has left the region as well: its counts of use are then the other region's. */
  readonly hasLeft: boolean
}

/** What a region's Redis holds of a tenant that left a room. */
export interface RegionCache {
  remove(cached: CachedTenant): Promise<void>
  /** Looks through all keys by the tenant's name, not by how the gateways call theirs. @returns null without a Redis */
  count(cached: CachedTenant): Promise<number | null>
}

/** @param server the region's Redis; null where it has none */
export function regionCache(server: RedisServer | null): RegionCache {
  return {
    async remove(cached) {
      await withRedis(server, async (redis) => {
        const left = await keysOf(redis, cached)
        if (left.length > 0) await redis.unlink(...left)
      })
    },
    count: (cached) => withRedis(server, async (redis) => (await keysOf(redis, cached)).length),
  }
}

async function keysOf(redis: Redis, { tenant, slug, hasLeft, placement }: CachedTenant): Promise<string[]> {
  const named = new Set<string>()
  // A slug is letters, digits and dashes, and its key ends with it.
  for (const match of [`*${tenant}*`, `*:slug:${slug}}*`]) {
    for await (const keys of redis.scanStream({ match, count: 1_000 }))
      for (const key of keys as string[]) named.add(key)
  }
  const left: string[] = []
  for (const key of named) {
    // Directory entries come again as long as anybody asks: it is the old room that they must not name.
    if (!key.startsWith('ink:{directory:')) {
      if (hasLeft) left.push(key)
    } else if (namesRoom(await redis.get(key), placement)) left.push(key)
  }
  return left
}

function namesRoom(text: string | null, { cluster, epoch }: Placement): boolean {
  return text?.includes(`"cluster":${JSON.stringify(cluster)}`) === true && new RegExp(`"epoch":${epoch}\\b`).test(text)
}

const CONNECT_MS = 3_000

async function withRedis<T>(server: RedisServer | null, work: (redis: Redis) => Promise<T>): Promise<T | null> {
  if (server === null) return null
  const redis = new Redis(server.url, {
    ...redisTls(server),
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    commandTimeout: 10_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  // Whoever asks gets the same error from its command.
  redis.on('error', () => {})
  try {
    await redis.connect()
    return await work(redis)
  } catch (cause) {
    throw new Error(`the region's Redis does not answer: ${(cause as Error).message}`, { cause })
  } finally {
    redis.disconnect()
  }
}
