import type { Config } from '../../config/index.ts'
import { chooseCluster, regionNamed, tierNamed } from '../control/place.ts'
import type { ClusterLoad, TenantRecord } from '../control/tenant-store.ts'
import { InnkeeperError } from '../errors.ts'
import { residencyOf } from '../residency/policy.ts'
import { roomFor } from '../rooms/naming.ts'
import type { Home } from './types.ts'

export interface Destination {
  readonly tier?: string | undefined
  readonly region?: string | undefined
  readonly cluster?: string | undefined
}

/** Why a move cannot begin, and what to do about it. */
export interface Refusal {
  readonly object: string
  readonly fault: string
  readonly fix: string
}

export interface MovePlan {
  readonly from: Home
  readonly to: Home
  /** A tier of the same isolation model, in the same place, is a matter of limits. */
  readonly kind: 'limits' | 'room'
  readonly tables: readonly { readonly name: string; readonly rows: number; readonly bytes: number }[]
  readonly rows: number
  readonly bytes: number
  readonly etaMs: number
  readonly refusals: readonly Refusal[]
  /** What does not stop it, and is to be known. */
  readonly notes: readonly string[]
  /** False where the tenant's residency forbids the old home: then there is no rollback, only another move. */
  readonly wayBack: boolean
}

/**
 * Where a tenant is to go: what is not said stays as it is. The cluster stays too, where it is of the region and hosts the
 * tier's isolation model.
 *
 * @param epoch the epoch that the new room is named by
 * @throws InnkeeperError `invalid_request` naming the field, `conflict` for a tenant that has no room
 */
export function destinationOf(
  config: Config,
  tenant: TenantRecord,
  wanted: Destination,
  epoch: number,
  loads: readonly ClusterLoad[],
): { from: Home; to: Home; kind: MovePlan['kind'] } {
  const { placement, status, slug } = tenant
  if (placement === null || status === 'provisioning' || status === 'offboarded') {
    throw new InnkeeperError('conflict', `The tenant ${slug} has no room that could be moved: it is ${status}`)
  }
  const tierName = wanted.tier ?? tenant.tier
  const { isolation } = tierNamed(config, tierName)
  const region = regionNamed(config, wanted.region ?? tenant.region)
  const from: Home = { placement, tier: tenant.tier, region: tenant.region }
  const own = region.clusters.get(placement.cluster)
  const cluster =
    wanted.cluster ??
    (own?.hosts.includes(isolation) ? own.name : chooseCluster(region, isolation, loads, residencyOf(config, tenant)))
  const found = region.clusters.get(cluster)
  if (found === undefined || !found.hosts.includes(isolation)) {
    throw new InnkeeperError(
      'invalid_request',
      `Cluster "${cluster}" of region ${region.name} does not host model ${isolation}`,
      {
        field: 'cluster',
        hint: `Use one of: ${[...region.clusters.values()]
          .filter((c) => c.hosts.includes(isolation))
          .map((c) => c.name)
          .join(', ')}.`,
      },
    )
  }
  if (isolation === placement.isolation && cluster === placement.cluster) {
    return { from, to: { placement, tier: tierName, region: region.name }, kind: 'limits' }
  }
  return {
    from,
    to: { placement: roomFor(isolation, cluster, tenant.id, epoch), tier: tierName, region: region.name },
    kind: 'room',
  }
}
