import type { ClusterConfig, Config } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import { type RegionFacts, type RegionHands, regionFacts } from '../half/hands.ts'
import type { OtherRegions } from '../half/other-regions.ts'
import { type KeyAdmin, keyAdmin } from '../keys/admin.ts'
import { installKeys } from '../keys/install.ts'
import { type MigrationFile, versionOf } from '../migrate/files.ts'
import { MOVE_SETTINGS } from '../move/context.ts'
import { createVigil } from '../move/vigil.ts'
import { quoteIdent } from '../quote.ts'
import { ticketKey } from '../room/keys.ts'
import { createRoomMaker, type RoomMaker } from '../rooms/maker.ts'
import { REGION_DATABASE } from '../rooms/naming.ts'
import { appLogin } from '../tenancy/roles.ts'
import { watchedAll, watchedBy } from './silence.ts'

/** What the control plane has in the regions: who makes rooms on each cluster, and each region's store of API keys. */
export interface RegionStores {
  /** By cluster. */
  readonly makers: ReadonlyMap<string, RoomMaker>
  /** @throws InnkeeperError `invalid_config` */
  makerOf(cluster: string): RoomMaker
  /** @throws InnkeeperError `invalid_request` */
  keysOf(region: string): KeyAdmin
  /** Those that can be reached, by this process itself or through its region's half of the mover. */
  clusters(): ClusterConfig[]
  /** What can be told of a region's credentials. @throws InnkeeperError `invalid_config` for one that is out of our reach */
  about(region: string): Promise<RegionFacts>
  /** Brings every cluster and every store to this version. Idempotent. */
  install(onStep: (step: string) => void): Promise<void>
  close(): Promise<void>
}

export interface RegionStoresOptions {
  readonly config: Config
  /** Regions that this process has no credentials of. */
  readonly others?: OtherRegions | undefined
  /** How long a cluster may say nothing before what waits for it is given up, in milliseconds. */
  readonly silentMs?: number | undefined
  migration(): Promise<{ readonly files: readonly MigrationFile[]; readonly references: readonly string[] }>
}

/** A region keeps what is its own on its first cluster. */
export function homeOf(clusters: ReadonlyMap<string, ClusterConfig>): ClusterConfig {
  return clusters.values().next().value!
}

export function openRegionStores({
  config,
  others,
  migration,
  silentMs = MOVE_SETTINGS.silentMs,
}: RegionStoresOptions): RegionStores {
  const makers = new Map<string, RoomMaker>()
  const keyStores = new Map<string, { home: ClusterConfig; admin: KeyAdmin }>()
  const clusters: ClusterConfig[] = []
  const far = new Map<string, RegionHands>()
  const vigil = createVigil({ clusterOf: (name) => clusters.find((c) => c.name === name)!, silentMs })
  const watched = watchedBy(vigil, silentMs, (name) => makers.get(name)!.renew())
  const keyStore = (home: ClusterConfig) => ({
    home,
    admin: watchedAll(watched, home.name, keyAdmin(makers.get(home.name)!.admin(REGION_DATABASE))),
  })
  for (const region of config.regions.values()) {
    const { secrets } = region
    if (secrets === null) {
      const there = [...region.clusters.keys()].flatMap((name) => others?.clusterOf(name, null) ?? [])
      const hands = others?.handsOf(region.name) ?? null
      if (hands !== null) far.set(region.name, hands)
      clusters.push(...there)
      for (const cluster of there) {
        const maker = createRoomMaker({ cluster, keys: [], migration })
        makers.set(cluster.name, hands === null ? maker : farMaker(maker, hands, migration))
      }
      const [home] = there
      if (home) keyStores.set(region.name, keyStore(home))
      continue
    }
    clusters.push(...secrets.clusters.values())
    for (const cluster of secrets.clusters.values()) {
      const keys = [secrets.key, ...(secrets.keyPrevious ? [secrets.keyPrevious] : [])]
      const ticketKeys = keys.map((k) => ticketKey(k, cluster.name))
      const maker = createRoomMaker({ cluster, keys: ticketKeys, migration })
      makers.set(cluster.name, watchedAll(watched, cluster.name, maker, ['makeRoom', 'removeRoom', 'migrate']))
    }
    keyStores.set(region.name, keyStore(homeOf(secrets.clusters)))
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
    clusters: () => [...clusters],
    async about(name) {
      const secrets = config.regions.get(name)?.secrets ?? null
      if (secrets !== null) return regionFacts(secrets)
      const hands = far.get(name)
      if (hands !== undefined) return hands.about()
      throw new InnkeeperError('invalid_config', `This process holds no credentials of region ${name}`)
    },
    async install(onStep) {
      const installed = [...far].map(([region, hands]) => {
        onStep(`region ${region}, by its half of the mover`)
        return hands.install()
      })
      const near = clusters.filter((c) => c.reach === undefined).map((c) => makerOf(c.name))
      await Promise.all([
        ...installed,
        ...near.map(async (maker) => {
          onStep(`cluster ${maker.cluster}`)
          await maker.installCluster()
        }),
      ])
      const stores = [...keyStores].filter(([, { home }]) => home.reach === undefined)
      await Promise.all(stores.map(([region, { home }]) => installKeyStore(makerOf(home.name), home, region, onStep)))
    },
    async close() {
      await Promise.all([...makers.values()].map((m) => m.close()))
    },
  }
}

/** Where the region's keys are needed, its half does it; all else is SQL in sessions that the half opens. */
function farMaker(maker: RoomMaker, hands: RegionHands, migration: RegionStoresOptions['migration']): RoomMaker {
  const version = async () => versionOf((await migration()).files)
  const { cluster } = maker
  return {
    ...maker,
    installCluster: () => hands.install(),
    makeRoom: async (tenant, placement) => hands.makeRoom(tenant, placement, await version()),
    migrate: async (database, schema) => hands.migrate({ cluster, database, schema }, await version()),
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
