import type { RedisOptions } from 'ioredis'
import type { Config } from '../../config/index.ts'

/** Where a region's Redis is: a rediss:// URL is verified in full, certificate and name. */
export interface RedisServer {
  readonly url: string
  /** The authorities whose certificates are believed, as PEM; null for those that the runtime brings. */
  readonly ca: string | null
}

/** The part of the client's options that protects the link. */
export function redisTls({ url, ca }: RedisServer): Pick<RedisOptions, 'tls'> {
  return url.startsWith('rediss:') ? { tls: { rejectUnauthorized: true, ...(ca === null ? {} : { ca }) } } : {}
}

/** Null where the region has none, or this process no credentials of it. */
export function redisServerOf(config: Config, region: string): RedisServer | null {
  const { redisUrl, ca = null } = config.regions.get(region)?.secrets ?? { redisUrl: null }
  return redisUrl === null ? null : { url: redisUrl, ca }
}
