import type { Config, RegionConfig } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import { clusterFaults } from '../residency/faults.ts'
import type { Residency } from '../residency/policy.ts'
import type { AwayPolicy, Isolation } from '../types.ts'
import type { ClusterLoad } from './tenant-store.ts'

/**
 * Chooses the cluster of a new room: of the region's clusters that host the isolation model and have room left, the one
 * that is fullest by the smallest part of its capacity; the first by name where they are equal.
 *
 * @param residency of the tenant: clusters that keep it come before those that do not
 * @throws InnkeeperError `overloaded` when all are full
 */
export function chooseCluster(
  region: RegionConfig,
  isolation: Isolation,
  loads: readonly ClusterLoad[],
  residency: Residency | null,
): string {
  const hosting = [...region.clusters.values()].filter((c) => c.hosts.includes(isolation))
  const keeping = hosting.filter((c) => residency === null || clusterFaults(residency, c).length === 0)
  // Where none keeps it the choice is refused afterwards, with the reason.
  const clusters = keeping.length > 0 ? keeping : hosting
  const filled = clusters.map((cluster) => {
    const used = loads.find((l) => l.cluster === cluster.name && l.isolation === isolation)?.tenants ?? 0
    return { name: cluster.name, part: used / cluster.capacity[isolation] }
  })
  filled.sort((a, b) => a.part - b.part || a.name.localeCompare(b.name))
  const best = filled[0]
  if (best !== undefined && best.part < 1) return best.name
  throw new InnkeeperError(
    'overloaded',
    `No cluster of region ${region.name} has room for a tenant of model ${isolation}`,
    {
      hint: 'Add a cluster to the region, or raise the capacity of one.',
    },
  )
}

/** @throws InnkeeperError `invalid_request` naming the field where a name is not in the configuration */
export function regionNamed(config: Config, name: string): RegionConfig {
  const region = config.regions.get(name)
  if (region !== undefined) return region
  throw unknown('region', name, [...config.regions.keys()])
}

/** @throws InnkeeperError `invalid_request` naming the field where a name is not in the configuration */
export function tierNamed(config: Config, name: string): Config['tiers'][string] {
  const tier = Object.hasOwn(config.tiers, name) ? config.tiers[name] : undefined
  if (tier !== undefined) return tier
  throw unknown('tier', name, Object.keys(config.tiers))
}

/** @throws InnkeeperError `invalid_request`: without keys that the regions know of each other nothing can be forwarded */
export function requirePeering(config: Config, away: AwayPolicy | null): void {
  if (away !== 'forward' || config.regions.size === 1) return
  const unpeered = [...config.regions.values()].find(({ peering }) => peering.publicKeys.length === 0)
  if (unpeered === undefined) return
  throw new InnkeeperError('invalid_request', `away: "forward" needs regions.${unpeered.name}.peering`, {
    field: 'away',
    hint: 'Give every region a peering key (npx innkeeper peering-key), or use redirect or reject.',
  })
}

function unknown(field: string, name: string, known: string[]): InnkeeperError {
  return new InnkeeperError('invalid_request', `There is no ${field} "${name}"`, {
    field,
    hint: `Use one of: ${known.join(', ')}.`,
  })
}
