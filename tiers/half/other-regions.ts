import { type ClusterConfig, type Config, pairKeys } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import type { RegionCache } from '../move/region-cache.ts'
import { type OtherHalf, otherHalf } from './other-half.ts'

/** What a process has no credentials of, and reaches through the halves of the mover that have. */
export interface OtherRegions {
  /** @param move null for connections that moves share @returns null for a cluster of no other region */
  clusterOf(cluster: string, move: string | null): ClusterConfig | null
  /** @returns null for a region of our own */
  cacheOf(region: string, move: string): RegionCache | null
}

/** The regions that this region's half reaches through theirs. */
export function otherRegions(config: Config, own: string): OtherRegions {
  const movers = new Map([...config.regions].flatMap(([name, { mover }]) => (mover === null ? [] : [[name, mover]])))
  const keys = pairKeys('half', own, movers)
  const halves = new Map<string, OtherHalf>()
  for (const [region, { address }] of movers) {
    const key = keys.calling(region)
    if (key !== null) halves.set(region, otherHalf(address, key))
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
