import { v7 as uuidv7 } from 'uuid'
import type { ClusterConfig, Config } from '../../config/index.ts'
import { BY_PROGRAM, type By } from '../audit/entry.ts'
import { type AuditLog, auditLog } from '../audit/log.ts'
import { RECONNECT_S } from '../cache/reach.ts'
import { installDirectory } from '../directory/install.ts'
import { InnkeeperError, isInnkeeperError } from '../errors.ts'
import type { OtherRegions } from '../half/other-regions.ts'
import { type KeyAdmin, keyAdmin } from '../keys/admin.ts'
import { installKeys } from '../keys/install.ts'
import { type MigrationFile, readMigrations } from '../migrate/files.ts'
import type { MoveSettings } from '../move/context.ts'
import { createMoves, type Moves } from '../move/moves.ts'
import type { Move } from '../move/types.ts'
import { type Operators, operatorStore } from '../operators/operators.ts'
import { openLink } from '../pg/link.ts'
import { quoteIdent } from '../quote.ts'
import { assertResidency, awayFaults, residencyFaults } from '../residency/faults.ts'
import { residencyOf } from '../residency/policy.ts'
import { assertProfile, syncProfiles } from '../residency/profiles.ts'

import { ticketKey } from '../room/keys.ts'
import { createRoomMaker, type RoomMaker } from '../rooms/maker.ts'
import { REGION_DATABASE, roomFor } from '../rooms/naming.ts'
import { isSlug } from '../slug.ts'
import { appLogin } from '../tenancy/roles.ts'
import { type AwayPolicy, isTenantId, type TenantId } from '../types.ts'
import { assertCurrentClusters, lastEpoch } from './epochs.ts'
import { type FleetMigration, type MigrateOptions, type MigrationProgress, migrateFleet } from './fleet.ts'
import { type Incarnation, newIncarnation } from './incarnation.ts'
import { chooseCluster, regionNamed, requirePeering, tierNamed } from './place.ts'
import { type ResidencyControl, residencyControl } from './residency.ts'
import { type TenantChanges, tenantChanges } from './tenant-change.ts'
import { type TenantFilter, type TenantRecord, type TenantStore, tenantStore } from './tenant-store.ts'

export interface ControlPlaneOptions {
  readonly config: Config
  /** The folder with the application's `*.sql`. */
  readonly migrationsFolder: string
  /** Names of shared reference tables. */
  readonly references?: readonly string[]
  /** How long a move may take for what; the defaults where left out. */
  readonly moveSettings?: Partial<MoveSettings>
  /** Regions that this process has no credentials of, and reaches through their halves of the mover. */
  readonly others?: OtherRegions
  /** A move failed, or they could not be looked for; it is tried again. */
  readonly onMoveError?: (error: Error, move: Move | null) => void
}

export interface CreateTenant {
  readonly slug: string
  /** The configuration's default tier where left out. */
  readonly tier?: string | undefined
  readonly region: string
  /** Its tier's where left out. */
  readonly away?: AwayPolicy | null | undefined
  /** What it is kept to from its beginning. */
  readonly profile?: string | null | undefined
  readonly pinned?: readonly string[] | null | undefined
  readonly idempotencyKey?: string | undefined
  readonly domains?: readonly string[] | undefined
}

/**
 * Everything that writes the directory or makes rooms. It needs the credentials of all regions; gateways have none of it.
 * Whatever changes something takes who wants it, for the audit log.
 */
export interface ControlPlane extends TenantChanges, ResidencyControl {
  readonly store: TenantStore
  readonly audit: AuditLog
  readonly operators: Operators
  /** Moves of tenants. Nothing is done about them until `moves.run()` is called, in one process or in several. */
  readonly moves: Moves
  /** Brings the control database, every cluster and every region's key store to this version. Idempotent. */
  install(onStep?: (step: string) => void): Promise<void>
  /**
   * Makes a tenant with its room. Repeatable: the same call with the same idempotency key finishes what a killed one
   * began and returns the same tenant.
   */
  createTenant(request: CreateTenant, by?: By): Promise<TenantRecord>
  /** @throws InnkeeperError `tenant_not_found` */
  tenant(slugOrId: string): Promise<TenantRecord>
  tenants(filter: TenantFilter): Promise<TenantRecord[]>
  /** Refuses the tenant's requests for good and removes its room with all that is in it. */
  offboard(slugOrId: string, by?: By): Promise<TenantRecord>
  keysOf(region: string): KeyAdmin
  /** Applies the application's migrations to every room. */
  migrate(
    onProgress?: (p: MigrationProgress) => void,
    options?: MigrateOptions,
  ): Promise<FleetMigration & { readonly completedMoves: readonly string[] }>
  /** Finishes tenants that a killed process left half made. @returns their slugs */
  recover(): Promise<string[]>
  /** After the control database was restored from a backup. @throws where a cluster does not answer */
  newIncarnation(): Promise<Incarnation>
  /** The highest epoch that was given out. */
  lastEpoch(): Promise<number>
  makerOf(cluster: string): RoomMaker
  close(): Promise<void>
}

export function openControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { config, migrationsFolder } = options
  const server = { url: config.controlUrl, ...config.controlTls }
  const link = (max: number, reserves = false) =>
    openLink(server, { applicationName: 'innkeeper-control', max, backoffS: RECONNECT_S, isWatching: true, reserves })
  const directory = link(10)
  const locks = link(16, true)
  const store = tenantStore(directory.sql, locks.sql)
  // Of its own: the store's client writes and reads values in another way.
  const records = link(4)
  const audit = auditLog(records.sql)
  let files: Promise<MigrationFile[]> | null = null
  const migration = async () => {
    files ??= readMigrations(migrationsFolder)
    return { files: await files, references: options.references ?? [] }
  }
  const makers = new Map<string, RoomMaker>()
  const keyStores = new Map<string, { home: ClusterConfig; admin: KeyAdmin }>()
  for (const region of config.regions.values()) {
    const { secrets } = region
    if (secrets === null) {
      const there = [...region.clusters.keys()].flatMap((name) => options.others?.clusterOf(name, null) ?? [])
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
  const tenant = async (slugOrId: string) => {
    // The database is not asked about what can be neither: some of it, such as a NUL, it could not even read.
    const found = isSlug(slugOrId) || isTenantId(slugOrId) ? await store.get(slugOrId) : null
    if (found !== null) return found
    throw new InnkeeperError('tenant_not_found', `There is no tenant "${slugOrId}"`)
  }
  const finish = (begun: TenantRecord) =>
    store.exclusively(begun.id, async () => {
      const now = await tenant(begun.id)
      if (now.status !== 'provisioning') return now
      await makerOf(now.placement!.cluster).makeRoom(now.id, now.placement!)
      await store.setStatus(now.id, 'active')
      return tenant(now.id)
    })
  const keysOf = (region: string) => {
    const found = keyStores.get(region)
    if (found !== undefined) return found.admin
    throw new InnkeeperError('invalid_request', `There is no region "${region}"`, { field: 'region' })
  }
  const moves = createMoves({
    config,
    tenants: store,
    tenant,
    makerOf,
    keysOf,
    migration,
    others: options.others,
    onControlSilent() {
      directory.renew()
      records.renew()
    },
    ...(options.moveSettings === undefined ? {} : { settings: options.moveSettings }),
    ...(options.onMoveError === undefined ? {} : { onError: options.onMoveError }),
  })

  return {
    ...tenantChanges({ config, store, tenant }),
    ...residencyControl({ config, sql: records.sql, store, audit, moves, tenant, keysOf }),
    store,
    audit,
    operators: operatorStore(records.sql),
    moves,
    makerOf,
    tenant,
    tenants: (filter) => store.list(filter),
    async install(onStep = () => {}) {
      onStep('control database')
      await installDirectory(server, readerOf(options.config))
      await syncProfiles(records.sql, config)
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
    async createTenant(
      {
        slug,
        tier: tierName = config.defaultTier,
        region: regionName,
        away = null,
        profile = null,
        pinned = null,
        idempotencyKey,
        domains = [],
      },
      by = BY_PROGRAM,
    ) {
      if (!isSlug(slug)) {
        throw new InnkeeperError('invalid_request', 'The slug is not valid', {
          field: 'slug',
          hint: 'Use 1 to 63 lower-case letters, digits and dashes, with no dash at either end.',
        })
      }
      const region = regionNamed(config, regionName)
      const tier = tierNamed(config, tierName)
      requirePeering(config, away)
      const kept = { slug, profile, pinned }
      assertProfile(config, kept)
      const refused = (cluster: string | null) =>
        assertResidency(kept, 'Onboarding', [
          ...residencyFaults(config, kept, { tier: tierName, region: regionName, cluster }),
          ...awayFaults(config, kept, away),
        ])
      refused(null)
      await assertCurrentClusters(directory.sql, [...(region.secrets?.clusters.keys() ?? [])].map(makerOf))
      const id = uuidv7() as TenantId
      const begun = await store.begin(
        { ...kept, id, tier: tierName, region: regionName, away, idempotencyKey: idempotencyKey ?? null },
        (loads, epoch) => {
          const cluster = chooseCluster(region, tier.isolation, loads, residencyOf(config, kept))
          refused(cluster)
          return roomFor(tier.isolation, cluster, id, epoch)
        },
        by,
      )
      const finished = await finish(begun)
      // After the room is made: a domain that is taken must not leave the tenant half made.
      for (const domain of domains) await store.addDomain(begun.id, domain.toLowerCase(), by)
      return domains.length === 0 ? finished : tenant(begun.id)
    },
    async offboard(slugOrId, by = BY_PROGRAM) {
      const { id } = await tenant(slugOrId)
      return store.exclusively(id, async () => {
        const now = await tenant(id)
        await moves.assertNone(id)
        if (now.status !== 'offboarded') {
          const details = { placement: now.placement, domains: now.domains }
          await store.setStatus(id, 'offboarded', { action: 'tenant.offboard', by, details })
        }
        for (const key of await keyStores.get(now.region)!.admin.list(id)) {
          await keyStores.get(now.region)!.admin.revoke(id, key.id)
        }
        if (now.placement !== null) {
          await makerOf(now.placement.cluster).removeRoom(id, now.placement)
          await store.removePlacement(id)
        }
        for (const domain of now.domains) await store.removeDomain(id, domain)
        return tenant(id)
      })
    },
    newIncarnation: () => newIncarnation({ config, sql: directory.sql, makers: [...makers.values()] }),
    lastEpoch: () => lastEpoch(directory.sql),
    keysOf,
    async migrate(onProgress = () => {}, { completeBy = null } = {}) {
      files = null
      return moves.without(completeBy, async (completedMoves) => {
        const done = await migrateFleet({ makers, store, files: (await migration()).files }, onProgress)
        return { ...done, completedMoves }
      })
    },
    async recover() {
      // A copy restored from a backup knows tenants as half made that have long been whole, or elsewhere.
      try {
        await assertCurrentClusters(directory.sql, [...makers.values()])
      } catch (error) {
        if (isInnkeeperError(error, 'conflict')) return []
        throw error
      }
      const half = await store.list({ status: 'provisioning', limit: 1_000 })
      for (const one of half) await finish(one)
      return half.map((t) => t.slug)
    },
    async close() {
      await moves.close()
      await Promise.all([...makers.values()].map((m) => m.close()))
      await Promise.all([directory, locks, records].map((l) => l.close(5)))
    },
  }
}

/** A region keeps what is its own on its first cluster. */
export function homeOf(clusters: ReadonlyMap<string, ClusterConfig>): ClusterConfig {
  return clusters.values().next().value!
}

function readerOf(config: Config): { user: string; password: string } | null {
  return config.directoryReaderUrl === null ? null : appLogin(config.directoryReaderUrl)
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
