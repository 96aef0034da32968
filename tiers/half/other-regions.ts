import type { ClusterConfig, Config } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import type { RegionCache } from '../move/region-cache.ts'
import type { RegionHands } from './hands.ts'
import { type OtherHalf, otherHalf } from './other-half.ts'
import { CONTROL, channelKeys } from './peers.ts'

/** What a process has no credentials of, and reaches through the halves of the mover that have. */
export interface OtherRegions {
  /** @param move null for connections that moves share @returns null for a cluster of no other region */
  clusterOf(cluster: string, move: string | null): ClusterConfig | null
  /** @returns null for a region of our own */
  cacheOf(region: string, move: string): RegionCache | null
  /** @returns null for a region of our own, and for whoever may not ask for it: only the control plane may */
  handsOf(region: string): RegionHands | null
}

/** The regions that a process reaches through their halves. @param own its region, or the control plane's name */
export function otherRegions(config: Config, own: string): OtherRegions {
  const keys = channelKeys(config, own)
  const halves = new Map<string, OtherHalf>()
  for (const [region, { mover }] of config.regions) {
    const key = mover && keys.calling(region)
    if (key !== null) halves.set(region, otherHalf(mover!.address, key))
  }
  const halfOf = (region: string) => {
    const half = halves.get(region)
    if (half !== undefined) return half
    throw new InnkeeperError('invalid_config', `The configuration has no half of the mover in region ${region}`)
  }
  return {
    clusterOf(name, move) {
      for (const [region, { clusters, secrets }] of config.regions) {
        const facts = clusters.get(name)
        if (facts === undefined || secrets !== null) continue
        return { ...facts, url: '', adminUrl: null, ca: null, reach: halfOf(region).reach(name, move) }
      }
      return null
    },
    handsOf: (region) =>
      own === CONTROL && config.regions.get(region)?.secrets === null ? halfOf(region).hands : null,
    cacheOf(region, move) {
      if (config.regions.get(region)?.secrets !== null) return null
      const half = halfOf(region)
      return {
        // The other half knows of itself which tenant of which move that is: it is told no more than it needs.
        async remove() {
          await half.cached(move, true)
        },
        count: () => half.cached(move, false),
      }
    },
  }
}
