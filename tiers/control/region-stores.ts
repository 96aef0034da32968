import type { ClusterConfig, Config } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import type { OtherRegions } from '../half/other-regions.ts'
import { type KeyAdmin, keyAdmin } from '../keys/admin.ts'
import { installKeys } from '../keys/install.ts'
import type { MigrationFile } from '../migrate/files.ts'
import { quoteIdent } from '../quote.ts'
import { ticketKey } from '../room/keys.ts'
import { createRoomMaker, type RoomMaker } from '../rooms/maker.ts'
import { REGION_DATABASE } from '../rooms/naming.ts'
import { appLogin } from '../tenancy/roles.ts'

/** What the control plane has in the regions: who makes rooms on each cluster, and each region's store of API keys. */
export interface RegionStores {
  /** By cluster. */
  readonly makers: ReadonlyMap<string, RoomMaker>
  /** @throws InnkeeperError `invalid_config` */
  makerOf(cluster: string): RoomMaker
  /** @throws InnkeeperError `invalid_request` */
  keysOf(region: string): KeyAdmin
  /** Brings every cluster and every store to this version. Idempotent. */
  install(onStep: (step: string) => void): Promise<void>
  close(): Promise<void>
}

export interface RegionStoresOptions {
  readonly config: Config
  /** Regions that this process has no credentials of. */
  readonly others?: OtherRegions | undefined
  migration(): Promise<{ readonly files: readonly MigrationFile[]; readonly references: readonly string[] }>
}

/** A region keeps what is its own on its first cluster. */
export function homeOf(clusters: ReadonlyMap<string, ClusterConfig>): ClusterConfig {
  return clusters.values().next().value!
}

export function openRegionStores({ config, others, migration }: RegionStoresOptions): RegionStores {
  const makers = new Map<string, RoomMaker>()
  const keyStores = new Map<string, { home: ClusterConfig; admin: KeyAdmin }>()
  for (const region of config.regions.values()) {
    const { secrets } = region
    if (secrets === null) {
      const there = [...region.clusters.keys()].flatMap((name) => others?.clusterOf(name, null) ?? [])
      for (const cluster of there) makers.set(cluster.name, createRoomMaker({ cluster, keys: [], migration }))
      const [home] = there
      if (home) keyStores.set(region.name, { home, admin: keyAdmin(makers.get(home.name)!.admin(REGION_DATABASE)) })
      continue
    }
    for (const cluster of secrets.clusters.values()) {
      const keys = [secrets.key, ...(secrets.keyPrevious ? [secrets.keyPrevious] : [])]
      const ticketKeys = keys.map((k) => ticketKey(k, cluster.name))
      makers.set(cluster.name, createRoomMaker({ cluster, keys: ticketKeys, migration }))
    }
    const home = homeOf(secrets.clusters)
    keyStores.set(region.name, { home, admin: keyAdmin(makers.get(home.name)!.admin(REGION_DATABASE)) })
  }
  const makerOf = (cluster: string) => {
    const maker = makers.get(cluster)
    if (maker !== undefined) return maker
    throw new InnkeeperError('invalid_config', `The configuration has no cluster "${cluster}"`, {
      hint: 'A tenant lives there: keep the cluster in the configuration until it is empty.',
    })
  }
  return {
    makers,
    makerOf,
    keysOf(region) {
      const found = keyStores.get(region)
      if (found !== undefined) return found.admin
      throw new InnkeeperError('invalid_request', `There is no region "${region}"`, { field: 'region' })
    },
    async install(onStep) {
      await Promise.all(
        [...makers.values()].map(async (maker) => {
          onStep(`cluster ${maker.cluster}`)
          await maker.installCluster()
        }),
      )
      await Promise.all(
        [...keyStores].map(([region, { home }]) => installKeyStore(makerOf(home.name), home, region, onStep)),
      )
    },
    async close() {
      await Promise.all([...makers.values()].map((m) => m.close()))
    },
  }
}

async function installKeyStore(
  maker: RoomMaker,
  home: ClusterConfig,
  region: string,
  onStep: (step: string) => void,
): Promise<void> {
  onStep(`keys of ${region}`)
  const [found] = await maker.admin('postgres')`select from pg_database where datname = ${REGION_DATABASE}`
  if (found === undefined) await maker.admin('postgres').unsafe(`create database ${quoteIdent(REGION_DATABASE)}`)
  await installKeys(maker.admin(REGION_DATABASE), appLogin(home.url).user)
}
