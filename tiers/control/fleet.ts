import { InnkeeperError } from '../errors.ts'
import type { MigrationFile } from '../migrate/files.ts'
import type { RoomMaker } from '../rooms/maker.ts'
import { SHARED_DATABASE } from '../rooms/naming.ts'
import { APP_SCHEMA } from '../tenancy/roles.ts'
import type { TenantStore } from './tenant-store.ts'

export interface MigrationProgress {
  readonly done: number
  readonly total: number
  readonly failed: number
  /** The room that was finished last. */
  readonly room: string
}

export interface RoomFailure {
  readonly cluster: string
  readonly database: string
  readonly schema: string
  readonly error: Error
}

export interface FleetMigration {
  readonly rooms: number
  /** Rooms that had something to apply. */
  readonly migrated: number
  readonly failures: readonly RoomFailure[]
}

export interface MigrateOptions {
  /** Who has moves that are only watched completed first; they stop the migration where this is left out. */
  readonly completeBy?: string | null
}

interface FleetDeps {
  readonly makers: ReadonlyMap<string, RoomMaker>
  readonly store: TenantStore
  readonly files: readonly MigrationFile[]
}

interface Room {
  readonly cluster: string
  readonly database: string
  readonly schema: string
}

const PAGE = 500
/** On one cluster; clusters are worked on side by side. */
const AT_ONCE = 4

/**
 * Applies outstanding migrations to every room of every cluster. Rooms that are up to date cost one look-up each, and those
 * with a database of their own the installation of ours; each room keeps its own record, so a run that was killed goes on
 * where it stopped, and a room that fails does not stop the others: it is reported.
 */
export async function migrateFleet(
  deps: FleetDeps,
  onProgress: (p: MigrationProgress) => void,
): Promise<FleetMigration> {
  const rooms = await allRooms(deps)
  const failures: RoomFailure[] = []
  let done = 0
  let migrated = 0
  const migrateOne = async (room: Room) => {
    try {
      const applied = await deps.makers.get(room.cluster)!.migrate(room.database, room.schema)
      if (applied.length > 0) migrated++
    } catch (error) {
      failures.push({ ...room, error: error as Error })
    }
    done++
    onProgress({
      done,
      total: rooms.length,
      failed: failures.length,
      room: `${room.cluster}/${room.database}/${room.schema}`,
    })
  }
  await Promise.all(
    [...deps.makers.keys()].map(async (cluster) => {
      const waiting = rooms.filter((r) => r.cluster === cluster)
      const worker = async () => {
        for (let room = waiting.shift(); room !== undefined; room = waiting.shift()) await migrateOne(room)
      }
      await Promise.all(Array.from({ length: AT_ONCE }, worker))
    }),
  )
  return { rooms: rooms.length, migrated, failures }
}

/** A cluster that takes no more tenants into its pool may still have some there. */
async function allRooms({ makers, store }: FleetDeps): Promise<Room[]> {
  const rooms: Room[] = []
  const pools = new Set([...makers.values()].filter((m) => m.hosts.includes('shared')).map((m) => m.cluster))
  let after: string | undefined
  for (;;) {
    const page = await store.list({ limit: PAGE, after })
    for (const { placement, status, slug } of page) {
      // One that is half removed may have no database any more.
      if (placement === null || status === 'provisioning' || status === 'offboarded') continue
      if (!makers.has(placement.cluster)) {
        throw new InnkeeperError(
          'invalid_config',
          `Tenant ${slug} lives on cluster ${placement.cluster}, which is not configured`,
        )
      }
      const { cluster, database, schema, isolation } = placement
      if (isolation === 'shared') pools.add(cluster)
      else rooms.push({ cluster, database, schema })
    }
    if (page.length < PAGE) {
      return [...[...pools].map((cluster) => ({ cluster, database: SHARED_DATABASE, schema: APP_SCHEMA })), ...rooms]
    }
    after = page.at(-1)!.slug
  }
}
