import type { TLSSocket } from 'node:tls'
import type postgres from 'postgres'
import type { ClusterConfig, PairKeys, PostgresHost } from '../../config/index.ts'
import type { RedisServer } from '../cache/redis-server.ts'
import { regionCache } from '../move/region-cache.ts'
import { createPrimary, type Primary } from '../pg/primary.ts'
import { adminServerOf } from '../pg/server.ts'
import { listenForHalves } from './channel.ts'
import { serveControl } from './control-peer.ts'
import { readFrame, writeFrame } from './frame.ts'
import type { RegionHands } from './hands.ts'
import { join } from './join.ts'
import { CONTROL } from './peers.ts'
import { type Here, moveThatAllows, type OpenMove, openMovesFrom } from './permission.ts'
import { type HalfAnswer, type HalfRequest, requestShape } from './requests.ts'
import { openSession, readStartup, sayReady, saySorry } from './session.ts'

/** A region's half of the mover, for the halves of other regions: it proves itself to its own servers in their place. */
export interface Half {
  readonly port: number
  /** Sessions that are open for others. */
  sessions(): number
  close(): Promise<void>
}

export interface HalfOptions {
  readonly region: string
  readonly host: string
  readonly port: number
  readonly keys: PairKeys
  /** Of this region, with their credentials; the first holds what is the region's own. */
  readonly clusters: ReadonlyMap<string, ClusterConfig>
  readonly redis: RedisServer | null
  /** What it does for the control plane, where that has no credentials of the region; else null. */
  readonly hands: RegionHands | null
  /** Of the control database. */
  readonly sql: postgres.Sql
  /** Something was refused, and why: for the log. Who asked is told no reason. */
  onRefused(peer: string, why: string): void
  onOpened?(peer: string, request: HalfRequest): void
}

const REQUEST_MS = 10_000
/** How often it is looked whether what is open may still be. */
const LOOK_MS = 1_000
const PRIMARY_WAIT_MS = 5_000

interface Open {
  readonly peer: string
  readonly request: HalfRequest
  /** Where it leads, once that is known. */
  host: PostgresHost | null
}

export async function startHalf(options: HalfOptions): Promise<Half> {
  const { region, clusters, sql, onRefused } = options
  const here: Here = { region, homeCluster: clusters.keys().next().value! }
  const cache = regionCache(options.redis)
  const channels = new Set<TLSSocket>()
  const open = new Map<TLSSocket, Open>()
  const primaries = new Map<string, Primary>()

  const primaryOf = (cluster: ClusterConfig) => {
    const known = primaries.get(cluster.name)
    if (known !== undefined) return known
    const primary = createPrimary({
      server: adminServerOf(cluster),
      waitMs: PRIMARY_WAIT_MS,
      // What runs on the one before would wait for a server that is gone.
      onChange(host) {
        for (const [channel, { request, host: its }] of open) {
          if (request.ask === 'session' && request.cluster === cluster.name && its !== host) channel.destroy()
        }
      },
    })
    primaries.set(cluster.name, primary)
    return primary
  }

  const serveSession = async (
    channel: TLSSocket,
    its: Open,
    { cluster: name, database }: HalfRequest & { ask: 'session' },
  ) => {
    writeFrame(channel, { ok: true } satisfies HalfAnswer)
    const applicationName = await readStartup(channel)
    const cluster = clusters.get(name)!
    try {
      const session = await primaryOf(cluster).open(async (host) => {
        its.host = host.host
        return openSession(host, cluster, database, applicationName)
      })
      if (channel.destroyed) return void session.stream.destroy()
      session.stream.once('close', () => primaryOf(cluster).doubt())
      sayReady(channel, session)
      join(channel, session.stream)
    } catch (error) {
      saySorry(channel, error)
      channel.resume()
    }
  }
  const serveCached = async (channel: TLSSocket, { remove }: HalfRequest & { ask: 'cached' }, move: OpenMove) => {
    const { tenant, slug, from } = move
    const cached = { tenant, slug, region, placement: from.placement, hasLeft: move.region !== region }
    if (remove) await cache.remove(cached)
    const found = remove ? null : await cache.count(cached)
    endWith(channel, { ok: true, found })
  }
  const serveControlPlane = async (channel: TLSSocket, request: HalfRequest) => {
    const { hands } = options
    const isAllowed = request.ask === 'session' ? clusters.has(request.cluster) : request.ask !== 'cached'
    if (!isAllowed || hands === null) {
      onRefused(CONTROL, `nothing of this region is ${JSON.stringify(request)}`)
      return endWith(channel, { ok: false, code: 'forbidden' })
    }
    const its: Open = { peer: CONTROL, request, host: null }
    open.set(channel, its)
    options.onOpened?.(CONTROL, request)
    if (request.ask === 'session') return serveSession(channel, its, request)
    endWith(channel, await serveControl(hands, request, (why) => onRefused(CONTROL, why)))
  }
  const serve = async (channel: TLSSocket, peer: string) => {
    const request = requestShape.parse(await readFrame(channel, REQUEST_MS))
    if (peer === CONTROL) return serveControlPlane(channel, request)
    const move = moveThatAllows(await openMovesFrom(sql, region), peer, here, request)
    if (move === null) {
      onRefused(peer, `no open move leads from here to ${peer} that would need ${JSON.stringify(request)}`)
      return endWith(channel, { ok: false, code: 'forbidden' })
    }
    const its: Open = { peer, request, host: null }
    open.set(channel, its)
    options.onOpened?.(peer, request)
    if (request.ask === 'session') await serveSession(channel, its, request)
    else if (request.ask === 'cached') await serveCached(channel, request, move)
  }

  const listener = await listenForHalves({
    ...options,
    onStranger: (address, why) => onRefused(address, why),
    onPeer(channel, peer) {
      channels.add(channel)
      channel.once('close', () => {
        channels.delete(channel)
        open.delete(channel)
      })
      serve(channel, peer).catch((error: Error) => {
        onRefused(peer, error.message)
        endWith(channel, { ok: false, code: 'failed' })
      })
    },
  })
  // While the control database says nothing, what is open stays: its mover can change nothing that is not its own.
  const look = async () => {
    const ofMoves = [...open].filter(([, { peer }]) => peer !== CONTROL)
    if (ofMoves.length === 0) return
    const moves = await openMovesFrom(sql, region)
    for (const [channel, { peer, request }] of ofMoves) {
      if (moveThatAllows(moves, peer, here, request) === null) channel.destroy()
    }
  }
  let isLooking = false
  const timer = setInterval(() => {
    // A control database that says nothing would be asked more and more.
    if (isLooking) return
    isLooking = true
    void look()
      .catch(() => {})
      .finally(() => {
        isLooking = false
      })
  }, LOOK_MS)

  return {
    port: listener.port,
    sessions: () => open.size,
    async close() {
      clearInterval(timer)
      const closed = listener.close()
      for (const channel of channels) channel.destroy()
      for (const primary of primaries.values()) primary.close()
      await closed
    },
  }
}

function endWith(channel: TLSSocket, answer: HalfAnswer): void {
  if (!channel.writable) return void channel.destroy()
  writeFrame(channel, answer)
  channel.end()
  // Its end is only seen by who reads.
  channel.resume()
}
