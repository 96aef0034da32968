import type { ClusterConfig } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import { migrateRoom, type RoomMigration } from '../migrate/migrate-room.ts'
import { type AdminSql, serverLink } from '../pg/admin.ts'
import type { Link } from '../pg/link.ts'
import { adminServerOf } from '../pg/server.ts'
import { quoteIdent } from '../quote.ts'
import type { TicketKey } from '../room/keys.ts'
import { installDatabase } from '../tenancy/install.ts'
import { APP_SCHEMA, appLogin, INSIDE_LOCK, installRoles } from '../tenancy/roles.ts'
import type { Isolation, Placement, TenantId } from '../types.ts'
import { SCHEMAS_DATABASE, SHARED_DATABASE } from './naming.ts'

/** Makes and removes rooms on one cluster, with the installer's rights. Only the control plane has one. */
export interface RoomMaker {
  readonly cluster: string
  readonly hosts: readonly Isolation[]
  /** Roles, and the databases that many tenants share. Idempotent. */
  installCluster(): Promise<void>
  /** Makes the room, migrates it and opens its fence. Idempotent, so safe to repeat after a crash at any step. */
  makeRoom(tenant: TenantId, placement: Placement): Promise<void>
  /** Makes the room and migrates it, and opens it to nobody. Idempotent. */
  prepareRoom(placement: Placement, guard?: RoomGuard): Promise<void>
  /** Removes the room and all rows of the tenant in it. Idempotent. */
  removeRoom(tenant: TenantId, placement: Placement): Promise<void>
  /** Applies outstanding migrations to one room, after ours where the cluster's do not reach. @returns the names of the files applied */
  migrate(database: string, schema: string): Promise<string[]>
  /** The highest epoch that a database has heard of; null where there is no such database, or it was not installed yet. */
  epochMark(database: string): Promise<number | null>
  /** The installer's connections to one database of the cluster. */
  admin(database: string): AdminSql
  /** Gives up every connection: the cluster has been silent for too long. */
  renew(): void
  close(): Promise<void>
}

/** What a mover that may have been overtaken puts before the making of a room. */
export interface RoomGuard {
  /** Called when the room's database is there, before anything is made in it. @param isNew it was made just now */
  databaseReady(isNew: boolean): Promise<void>
  /** SQL that begins each transaction there, and ends it by an error where it must not go on. */
  readonly begin: string
}

export interface RoomMakerOptions {
  readonly cluster: ClusterConfig
  readonly keys: readonly TicketKey[]
  migration(): Promise<Omit<RoomMigration, 'app'>>
}

export function createRoomMaker(options: RoomMakerOptions): RoomMaker {
  const { cluster, keys } = options
  const server = adminServerOf(cluster)
  const login = () => {
    if (server.reach === undefined) return appLogin(cluster.url)
    throw new InnkeeperError('invalid_config', `Rooms on cluster ${cluster.name} are made in region ${cluster.region}`)
  }
  const pools = new Map<string, Link>()

  const admin = (database: string): AdminSql => {
    const known = pools.get(database)
    if (known !== undefined) return known.sql
    const link = serverLink(server, database, 2)
    pools.set(database, link)
    return link.sql
  }
  const forget = async (database: string) => {
    const link = pools.get(database)
    pools.delete(database)
    await link?.close(5)
  }
  const createDatabase = async (name: string) => {
    const [found] = await admin('postgres')`select from pg_database where datname = ${name}`
    let isNew = found === undefined
    // Two at a time may both find it missing; the second one's error says that the first has made it.
    if (found === undefined) {
      await admin('postgres')
        .unsafe(`create database ${quoteIdent(name)} template template0`)
        .catch((error: { code?: string }) => {
          if (error.code !== '42P04' && error.code !== '23505') throw error
          isNew = false
        })
    }
    await installDatabase(admin(name), login().user, keys)
    return isNew
  }
  const migrate = async (database: string, schema: string, isInstalled: boolean, begin?: string) => {
    try {
      if (!isInstalled) await installDatabase(admin(database), login().user, keys)
      return await migrateRoom(admin(database), schema, { ...(await options.migration()), app: login().user, begin })
    } finally {
      // Dedicated databases are many and seldom visited: no connection waits in one.
      if (!isManyTenants(database)) await forget(database)
    }
  }

  const prepareRoom = async ({ database, schema, isolation }: Placement, guard?: RoomGuard) => {
    const isNew = isolation === 'database' && (await createDatabase(database))
    await guard?.databaseReady(isNew)
    if (isolation !== 'shared') await migrate(database, schema, true, guard?.begin)
  }

  return {
    cluster: cluster.name,
    hosts: cluster.hosts,
    admin,
    migrate: (database, schema) => migrate(database, schema, isInstalledWith(cluster, database)),
    async installCluster() {
      await installRoles(admin('postgres'), login())
      if (cluster.hosts.includes('shared')) {
        await createDatabase(SHARED_DATABASE)
        await migrate(SHARED_DATABASE, APP_SCHEMA, true)
      }
      if (cluster.hosts.includes('schema')) await createDatabase(SCHEMAS_DATABASE)
    },
    prepareRoom,
    async epochMark(database) {
      try {
        const [mark] = await admin(database)<{ epoch: number }[]>`select epoch::float8 as epoch from tenancy.epoch_mark`
        return mark!.epoch
      } catch (error) {
        if (NOT_THERE.has((error as { code?: string }).code ?? '')) return null
        throw error
      } finally {
        if (!isManyTenants(database)) await forget(database)
      }
    },
    async makeRoom(tenant, placement) {
      const { database, isolation } = placement
      await prepareRoom(placement)
      await openFence(admin(database), tenant, placement)
      if (isolation === 'database') await forget(database)
    },
    async removeRoom(tenant, { database, schema, isolation }) {
      if (isolation === 'database') {
        await forget(database)
        await admin('postgres').unsafe(`drop database if exists ${quoteIdent(database)} with (force)`)
        return
      }
      const sql = admin(database)
      await sql.begin(async (tx) => {
        // Whoever is inside ends first: what is committed after the rows were removed would stay for ever.
        await tx`select pg_advisory_xact_lock(${INSIDE_LOCK}, uuid_hash(${tenant}::uuid))`
        await tx`update tenancy.fence set state = 'fenced' where tenant_id = ${tenant}`
      })
      if (isolation === 'schema') {
        await sql.unsafe(`drop schema if exists ${quoteIdent(schema)} cascade`)
        await sql`delete from tenancy.migrations where room = ${schema}`
        await sql`delete from tenancy.room_parts where room = ${schema}`
      } else await removeRows(sql, schema, tenant)
      await sql`delete from tenancy.fence where tenant_id = ${tenant}`
    },
    renew() {
      for (const link of pools.values()) link.renew()
    },
    async close() {
      await Promise.all([...pools.keys()].map(forget))
    },
  }
}

/** PostgreSQL's codes for a database, a schema and a table that are not there. */
const NOT_THERE = new Set(['3D000', '3F000', '42P01'])

/** Nobody else comes to one tenant's database, nor to one whose rooms are all that is left of a model the cluster hosted. */
function isInstalledWith({ hosts }: ClusterConfig, database: string): boolean {
  return (
    (hosts.includes('shared') && database === SHARED_DATABASE) ||
    (hosts.includes('schema') && database === SCHEMAS_DATABASE)
  )
}

function isManyTenants(database: string): boolean {
  return database === SHARED_DATABASE || database === SCHEMAS_DATABASE
}

async function openFence(sql: AdminSql, tenant: TenantId, placement: Placement): Promise<void> {
  await sql`
    insert into tenancy.fence (tenant_id, epoch, state, room)
    values (${tenant}, ${placement.epoch}, 'open', ${placement.schema})
    on conflict (tenant_id) do update set epoch = excluded.epoch, state = 'open', room = excluded.room, changed_at = now()
    where fence.epoch <= excluded.epoch`
}

/** Children before parents is what foreign keys ask for; deferring is not, where they are not deferrable: so, in rounds. */
async function removeRows(sql: AdminSql, schema: string, tenant: TenantId): Promise<void> {
  await sql.begin(async (tx) => {
    const tables = await tx<{ name: string }[]>`
      select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
      where c.relnamespace = ${schema}::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`
    let left = tables.map((t) => t.name)
    while (left.length > 0) {
      const blocked: string[] = []
      for (const table of left) {
        try {
          await tx.savepoint((sp) =>
            sp.unsafe(`delete from ${quoteIdent(schema)}.${quoteIdent(table)} where tenant_id = $1`, [tenant]),
          )
        } catch (error) {
          if ((error as { code?: string }).code !== '23503') throw error
          blocked.push(table)
        }
      }
      if (blocked.length === left.length)
        throw new Error(`rows of ${blocked.join(', ')} refer to each other in a circle`)
      left = blocked
    }
  })
}
