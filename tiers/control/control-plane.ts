import type { ClusterConfig, Config } from '../../config/index.ts'
import { type AuditLog, auditLog } from '../audit/log.ts'
import { installDirectory } from '../directory/install.ts'
import type { MoverLogin } from '../directory/movers.ts'
import { InnkeeperError } from '../errors.ts'
import type { RegionFacts } from '../half/hands.ts'
import type { OtherRegions } from '../half/other-regions.ts'
import type { KeyAdmin } from '../keys/admin.ts'
import { type MigrationFile, readMigrations } from '../migrate/files.ts'
import type { MoveSettings } from '../move/context.ts'
import { createMoves, type Moves } from '../move/moves.ts'
import type { Move } from '../move/types.ts'
import { type Operators, operatorStore } from '../operators/operators.ts'
import { openLink } from '../pg/link.ts'
import { syncProfiles } from '../residency/profiles.ts'
import type { RoomMaker } from '../rooms/maker.ts'
import { isSlug } from '../slug.ts'
import { appLogin } from '../tenancy/roles.ts'
import { isTenantId } from '../types.ts'
import { lastEpoch } from './epochs.ts'
import { type FleetMigration, type MigrateOptions, type MigrationProgress, migrateFleet } from './fleet.ts'
import { type Incarnation, newIncarnation } from './incarnation.ts'
import { type Onboarding, onboarding } from './onboarding.ts'
import { openRegionStores } from './region-stores.ts'
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

/**
 * Everything that writes the directory or makes rooms. It needs the credentials of all regions, or a half of the mover in each
 * that has them; gateways have none of it.
 * Whatever changes something takes who wants it, for the audit log.
 */
export interface ControlPlane extends Onboarding, TenantChanges, ResidencyControl {
  readonly store: TenantStore
  readonly audit: AuditLog
  readonly operators: Operators
  /** Moves of tenants. Nothing is done about them until `moves.run()` is called, in one process or in several. */
  readonly moves: Moves
  /** Brings the control database, every cluster and every region's key store to this version. Idempotent. */
  install(onStep?: (step: string) => void): Promise<void>
  /** @throws InnkeeperError `tenant_not_found` */
  tenant(slugOrId: string): Promise<TenantRecord>
  tenants(filter: TenantFilter): Promise<TenantRecord[]>
  keysOf(region: string): KeyAdmin
  /** Applies the application's migrations to every room. */
  migrate(
    onProgress?: (p: MigrationProgress) => void,
    options?: MigrateOptions,
  ): Promise<FleetMigration & { readonly completedMoves: readonly string[] }>
  /** After the control database was restored from a backup. @throws where a cluster does not answer */
  newIncarnation(): Promise<Incarnation>
  /** The highest epoch that was given out. */
  lastEpoch(): Promise<number>
  makerOf(cluster: string): RoomMaker
  /** Those that can be reached. */
  clusters(): ClusterConfig[]
  /** What can be told of a region's credentials. */
  about(region: string): Promise<RegionFacts>
  close(): Promise<void>
}

export function openControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { config, migrationsFolder } = options
  const server = { url: config.controlUrl, ...config.controlTls }
  const link = (max: number) => openLink(server, { applicationName: 'innkeeper-control', max, isWatching: true })
  const directory = link(10)
  const locks = link(16)
  const store = tenantStore(directory.sql, locks.sql)
  // Of its own: the store's client writes and reads values in another way.
  const records = link(4)
  const audit = auditLog(records.sql)
  let files: Promise<MigrationFile[]> | null = null
  const migration = async () => {
    files ??= readMigrations(migrationsFolder)
    return { files: await files, references: options.references ?? [] }
  }
  const regions = openRegionStores({
    config,
    others: options.others,
    migration,
    silentMs: options.moveSettings?.silentMs,
  })
  const { makers, makerOf, keysOf } = regions
  const tenant = async (slugOrId: string) => {
    // The database is not asked about what can be neither: some of it, such as a NUL, it could not even read.
    const found = isSlug(slugOrId) || isTenantId(slugOrId) ? await store.get(slugOrId) : null
    if (found !== null) return found
    throw new InnkeeperError('tenant_not_found', `There is no tenant "${slugOrId}"`)
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
    ...onboarding({ config, sql: directory.sql, store, regions, moves, tenant }),
    ...tenantChanges({ config, store, tenant }),
    ...residencyControl({ config, sql: records.sql, store, audit, moves, regions, tenant }),
    store,
    audit,
    operators: operatorStore(records.sql),
    moves,
    makerOf,
    clusters: regions.clusters,
    about: regions.about,
    tenant,
    tenants: (filter) => store.list(filter),
    async install(onStep = () => {}) {
      onStep('control database')
      await installDirectory(server, readerOf(config), moversOf(config))
      await syncProfiles(records.sql, config)
      await regions.install(onStep)
    },
    newIncarnation: () => newIncarnation({ config, sql: directory.sql, makers: [...makers.values()] }),
    lastEpoch: () => lastEpoch(directory.sql),
    keysOf,
    async migrate(onProgress = () => {}, { completeBy = null } = {}) {
      return moves.without(completeBy, async (completedMoves) => {
        const before = files
        files = null
        const done = await migrateFleet({ makers, store, files: (await migration()).files }, onProgress)
        // What no room took is not asked of new ones either.
        if (done.rooms > 0 && done.failures.length === done.rooms) files = before
        return { ...done, completedMoves }
      })
    },
    async close() {
      await moves.close()
      await regions.close()
      await Promise.all([directory, locks, records].map((l) => l.close(5)))
    },
  }
}

function readerOf(config: Config): { user: string; password: string } | null {
  return config.directoryReaderUrl === null ? null : appLogin(config.directoryReaderUrl)
}

function moversOf({ regions }: Config): MoverLogin[] {
  return [...regions].flatMap(([region, { mover }]) =>
    mover?.controlUrl ? [{ region, ...appLogin(mover.controlUrl) }] : [],
  )
}
