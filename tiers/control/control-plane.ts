import { v7 as uuidv7 } from 'uuid'
import type { ClusterConfig, Config } from '../../config/index.ts'
import { BY_PROGRAM, type By } from '../audit/entry.ts'
import { type AuditLog, auditLog } from '../audit/log.ts'
import { RECONNECT_S } from '../cache/reach.ts'
import { installDirectory } from '../directory/install.ts'
import { InnkeeperError, isInnkeeperError } from '../errors.ts'
import { type KeyAdmin, keyAdmin } from '../keys/admin.ts'
import { installKeys } from '../keys/install.ts'
import { type MigrationFile, readMigrations } from '../migrate/files.ts'
import type { MoveSettings } from '../move/context.ts'
import { createMoves, type Moves } from '../move/moves.ts'
import { type Operators, operatorStore } from '../operators/operators.ts'
import { openLink } from '../pg/link.ts'
import { quoteIdent } from '../quote.ts'
import {
  assertResidency,
  awayFaults,
  type ResidencyFault,
  residencyFaults,
  sessionFaults,
} from '../residency/faults.ts'
import { residencyOf } from '../residency/policy.ts'
import { assertProfile, syncProfiles } from '../residency/profiles.ts'
import type { SignedReport } from '../residency/report/document.ts'
import { residencyReport } from '../residency/report/report.ts'
import type { KnownRoom, Scan } from '../residency/scan/found.ts'
import { scanResidency } from '../residency/scan/survey.ts'
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
import { type TenantFilter, type TenantRecord, type TenantStore, tenantStore } from './tenant-store.ts'

export interface ControlPlaneOptions {
  readonly config: Config
  /** The folder with the application's `*.sql`. */
  readonly migrationsFolder: string
  /** Names of shared reference tables. */
  readonly references?: readonly string[]
  /** How long a move may take for what; the defaults where left out. */
  readonly moveSettings?: Partial<MoveSettings>
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

export interface Violation {
  readonly tenant: string
  readonly faults: readonly ResidencyFault[]
}

export interface KeptTo {
  /** Of the configuration; null for none, as it is where left out. */
  readonly profile?: string | null | undefined
  /** Regions; null for all that the profile allows, as they are where left out. */
  readonly pinned?: readonly string[] | null | undefined
}

/**
 * Everything that writes the directory or makes rooms. It needs the credentials of all regions; gateways have none of it.
 * Whatever changes something takes who wants it, for the audit log.
 */
export interface ControlPlane {
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
  suspend(slugOrId: string, by?: By): Promise<TenantRecord>
  resume(slugOrId: string, by?: By): Promise<TenantRecord>
  /**
   * A tier of the same isolation model is a matter of limits; another one needs a move.
   * @throws InnkeeperError `conflict` where it does, `residency_violation`
   */
  setTier(slugOrId: string, tier: string, by?: By): Promise<TenantRecord>
  /** @param away null for what its tier says @throws InnkeeperError `residency_violation` */
  setAway(slugOrId: string, away: AwayPolicy | null, by?: By): Promise<TenantRecord>
  /**
   * Says what a tenant is kept to, from now on. It has to keep it already: a tenant that lives elsewhere is moved first.
   * @throws InnkeeperError `residency_violation` with everything that breaks it
   */
  setResidency(slugOrId: string, kept: KeptTo, by?: By): Promise<TenantRecord>
  /**
   * Asked before an operator sees rows of a tenant.
   * @throws InnkeeperError `residency_violation`
   */
  assertSession(tenant: TenantRecord, reason: string | null): void
  /** Whether its profile asks for operators who look at it to be written down; so does one that is not known. */
  isAccessAudited(tenant: TenantRecord): boolean
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
  /** Looks through every cluster and key store for what is of tenants that do not belong there. */
  scanResidency(): Promise<Scan>
  /** Where everything of a tenant's is and was, signed; and written down that it was asked for. */
  residencyReport(slugOrId: string, by?: By): Promise<SignedReport>
  /** Tenants whose home breaks what they are kept to: the configuration or their servers have changed. */
  residencyViolations(): Promise<Violation[]>
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
    if (secrets === null) continue
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
  const setStatus = async (slugOrId: string, from: readonly string[], to: 'active' | 'suspended', by: By) => {
    const { id } = await tenant(slugOrId)
    return store.exclusively(id, async () => {
      const now = await tenant(id)
      if (now.status !== to) {
        if (!from.includes(now.status)) throw new InnkeeperError('conflict', `The tenant is ${now.status}`)
        await store.setStatus(id, to, { action: to === 'active' ? 'tenant.resume' : 'tenant.suspend', by })
      }
      return tenant(id)
    })
  }
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
    onControlSilent() {
      directory.renew()
      records.renew()
    },
    ...(options.moveSettings === undefined ? {} : { settings: options.moveSettings }),
  })

  const everyTenant = async () => {
    const all: TenantRecord[] = []
    for (;;) {
      const page = await store.list({ limit: 500, after: all.at(-1)?.slug })
      all.push(...page)
      if (page.length < 500) return all
    }
  }
  const knownRooms = async (): Promise<KnownRoom[]> => {
    const open = await moves.list({ open: true, limit: 10_000 })
    const homes = (await everyTenant()).map(({ id, region, placement }) => ({ id, region, placement }))
    const ends = open.flatMap(({ tenantId: id, from, to }) => [from, to].map((home) => ({ id, ...home })))
    return [...homes, ...ends].flatMap(({ id, region, placement }) => {
      if (placement === null) return []
      const { cluster, database, schema } = placement
      return [{ tenant: id, region, cluster, database, schema }]
    })
  }

  return {
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
    suspend: (slugOrId, by = BY_PROGRAM) => setStatus(slugOrId, ['active'], 'suspended', by),
    resume: (slugOrId, by = BY_PROGRAM) => setStatus(slugOrId, ['suspended'], 'active', by),
    async setTier(slugOrId, tierName, by = BY_PROGRAM) {
      const { isolation } = tierNamed(config, tierName)
      const { id } = await tenant(slugOrId)
      return store.exclusively(id, async () => {
        const now = await tenant(id)
        const { slug, region, placement } = now
        if (placement !== null && placement.isolation !== isolation) {
          throw new InnkeeperError('conflict', `Tier ${tierName} needs a move`, {
            field: 'tier',
            details: `${slug} lives on model ${placement.isolation}, and tier ${tierName} is of model ${isolation}`,
            hint: 'Choose a tier of the same isolation model, or move the tenant.',
          })
        }
        const home = { tier: tierName, region, cluster: placement?.cluster ?? null }
        assertResidency(now, 'A change of tier', residencyFaults(config, now, home))
        await store.setTier(id, tierName, { action: 'tenant.tier', by })
        return tenant(id)
      })
    },
    async setAway(slugOrId, away, by = BY_PROGRAM) {
      requirePeering(config, away)
      const { id } = await tenant(slugOrId)
      return store.exclusively(id, async () => {
        const now = await tenant(id)
        assertResidency(now, 'The away policy', awayFaults(config, now, away))
        await store.setAway(id, away, { action: 'tenant.away', by })
        return tenant(id)
      })
    },
    async setResidency(slugOrId, change, by = BY_PROGRAM) {
      assertProfile(config, change)
      const { id } = await tenant(slugOrId)
      return store.exclusively(id, async () => {
        const now = await tenant(id)
        const { profile = now.profile ?? null, pinned = now.pinned ?? null } = change
        const kept = { slug: now.slug, profile, pinned: pinned && [...new Set(pinned)] }
        const homes = [{ tier: now.tier, region: now.region, cluster: now.placement?.cluster ?? null }]
        // A move that has not ended has a room at both ends, and what is in it counts.
        for (const { from, to } of await moves.list({ tenantId: id, open: true })) {
          homes.push(...[from, to].map((h) => ({ tier: now.tier, region: h.region, cluster: h.placement.cluster })))
        }
        const faults = homes.flatMap((home) =>
          residencyFaults(config, kept, home).map((f) => ({ ...f, fix: MOVE_FIRST })),
        )
        assertResidency(kept, 'The residency', [...faults, ...awayFaults(config, kept, now.away ?? null)])
        await store.setResidency(id, kept, { action: 'tenant.residency', by })
        return tenant(id)
      })
    },
    isAccessAudited(now) {
      const residency = residencyOf(config, now)
      return residency !== null && residency.name !== null && residency.profile?.audit !== 'changes'
    },
    assertSession: (now, reason) => assertResidency(now, 'A support session', sessionFaults(config, now, reason)),
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
    async residencyReport(slugOrId, by = BY_PROGRAM) {
      const now = await tenant(slugOrId)
      await audit.append({ action: 'residency.report', by, tenant: now })
      const movesOf = ({ id }: TenantRecord) => moves.list({ tenantId: id, limit: 10_000 })
      const scan = () => scanResidency({ config, rooms: knownRooms, keysOf })
      return residencyReport({ config, sql: records.sql, audit, keysOf, moves: movesOf, scan }, now)
    },
    scanResidency: () => scanResidency({ config, rooms: knownRooms, keysOf }),
    async residencyViolations() {
      const violations: Violation[] = []
      for (const one of await everyTenant()) {
        if (one.placement === null) continue
        const { tier, region, placement, away = null } = one
        const home = { tier, region, cluster: placement.cluster }
        const faults = [...residencyFaults(config, one, home), ...awayFaults(config, one, away)]
        if (faults.length > 0) violations.push({ tenant: one.slug, faults })
      }
      return violations
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

const MOVE_FIRST = 'Move the tenant to where it keeps it, and complete the move; then say so.'

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
