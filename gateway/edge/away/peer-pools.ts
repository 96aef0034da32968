import { Pool } from 'undici'
import type { Config } from '../../../config/index.ts'

/** The connections to one other region's gateways. */
export interface PeerRegion {
  readonly pool: Pool
  /** Of the peer, for the Host header: a load balancer may tell regions by it. */
  readonly host: string
  /** What stands before every path: where the region is reached below a path. */
  readonly prefix: string
  underWay: number
}

export interface PeerPools {
  /** Null for a region that is not configured. */
  of(region: string): PeerRegion | null
  close(): Promise<void>
}

/** How long an idle connection is kept: shorter than the 5 s after which the other side closes it. */
const KEEP_ALIVE_MS = 4_000
const HEADER_BYTES_MAX = 64 * 1024

/** A pool for each other region, opened when first used. */
export function createPeerPools(config: Config, ownRegion: string): PeerPools {
  const { connectionsMax, connectTimeoutMs, answerTimeoutMs, idleTimeoutMs } = config.peering
  const pools = new Map<string, PeerRegion>()
  return {
    of(region) {
      const open = pools.get(region)
      if (open !== undefined) return open
      const configured = config.regions.get(region)
      if (configured === undefined || region === ownRegion) return null
      const url = new URL(configured.peerUrl)
      const pool = new Pool(url.origin, {
        connections: connectionsMax,
        connect: { timeout: connectTimeoutMs, ...(configured.peerCa === null ? {} : { ca: configured.peerCa }) },
        headersTimeout: answerTimeoutMs,
        bodyTimeout: idleTimeoutMs,
        keepAliveTimeout: KEEP_ALIVE_MS,
        keepAliveMaxTimeout: KEEP_ALIVE_MS,
        maxHeaderSize: HEADER_BYTES_MAX,
      })
      const peer = { pool, host: url.host, prefix: url.pathname.replace(/\/+$/, ''), underWay: 0 }
      pools.set(region, peer)
      return peer
    },
    async close() {
      await Promise.all([...pools.values()].map(({ pool }) => pool.destroy()))
    },
  }
}
