import type { ClusterConfig, Config } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import { type TicketKey, ticketKey } from '../room/keys.ts'
import { NO_OBSERVER, type TiersObserver } from '../telemetry.ts'
import { ClusterPool, type Lease, type LeaseRequest, type PoolStatus } from './cluster-pool.ts'

/** The clusters that this process holds credentials of: a gateway, those of its region. */
export interface Clusters {
  /** @throws InnkeeperError `misdirected_region` for a cluster of another region, and what the pool throws */
  lease(cluster: string, request: LeaseRequest): Promise<Lease>
  ticketKeyOf(cluster: string): TicketKey
  preparedOn(cluster: string): boolean
  configOf(cluster: string): ClusterConfig
  status(): ReadonlyMap<string, PoolStatus>
  /** Waits for leased connections up to the time given, in milliseconds. */
  close(drainMs?: number): Promise<void>
}

interface Entry {
  readonly config: ClusterConfig
  readonly key: TicketKey
  readonly pool: ClusterPool
}

/** Prepares a pool for each cluster; no connection is opened before the first request asks for one. */
export function openClusters(config: Config, observer: TiersObserver = NO_OBSERVER): Clusters {
  const entries = new Map<string, Entry>()
  for (const region of config.regions.values()) {
    if (region.secrets === null) continue
    for (const cluster of region.secrets.clusters.values()) {
      entries.set(cluster.name, {
        config: cluster,
        key: ticketKey(region.secrets.key, cluster.name),
        pool: new ClusterPool({
          cluster: cluster.name,
          url: cluster.url,
          tls: cluster.tls,
          ca: cluster.ca,
          connectionsMax: cluster.connectionsMax,
          statementsMax: cluster.statementsPerConnectionMax,
          connectTimeoutMs: config.pools.connectTimeoutMs,
          idleMs: config.pools.idleMs,
          queueWaitMs: config.pools.queueWaitMs,
          queuePerTenantMax: config.pools.queuePerTenantMax,
        }),
      })
    }
  }
  const entryOf = (name: string): Entry => {
    const entry = entries.get(name)
    if (entry !== undefined) return entry
    throw new InnkeeperError('misdirected_region', `This process holds no credentials of cluster ${name}`, {
      hint: "Ask a gateway of the tenant's own region.",
    })
  }
  const removeGauge = observer.gauge('pool.connections', function* () {
    for (const [cluster, { pool }] of entries) {
      const { open, leased, waiting } = pool.status()
      yield { value: leased, attributes: { cluster, state: 'leased' } }
      yield { value: open - leased, attributes: { cluster, state: 'idle' } }
      yield { value: waiting, attributes: { cluster, state: 'waiting' } }
    }
  })
  return {
    lease: (cluster, request) => entryOf(cluster).pool.lease(request),
    ticketKeyOf: (cluster) => entryOf(cluster).key,
    preparedOn: (cluster) => entryOf(cluster).config.preparedStatements,
    configOf: (cluster) => entryOf(cluster).config,
    status: () => new Map([...entries].map(([name, { pool }]) => [name, pool.status()])),
    async close(drainMs = 0) {
      removeGauge()
      await Promise.all([...entries.values()].map(({ pool }) => pool.close(drainMs)))
    },
  }
}
