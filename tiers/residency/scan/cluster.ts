import type { ClusterConfig } from '../../../config/index.ts'
import { type AdminSql, withServer } from '../../pg/admin.ts'
import { adminServerOf } from '../../pg/server.ts'
import { REGION_DATABASE, SCHEMAS_DATABASE, SHARED_DATABASE } from '../../rooms/naming.ts'
import { APP_SCHEMA, MOVER, OWNER, TENANCY, TRIGGER } from '../../tenancy/roles.ts'
import { scanDatabase } from './database.ts'
import type { Foreign, KnownRoom, Looked } from './found.ts'

const AT_ONCE = 3
/** A tenant's own. */
const OWN_DATABASE = /^innkeeper_d_/
const OWN_ROLES = [OWNER, TENANCY, TRIGGER, MOVER]

/**
 * Looks through every database of a server: those of Innkeeper's for what is foreign in them, the others for tenants.
 *
 * @param app the gateways' role
 */
export async function scanCluster(
  cluster: ClusterConfig,
  app: string,
  known: readonly KnownRoom[],
): Promise<{ looked: Looked; foreign: Foreign[] }> {
  const { name, region } = cluster
  const server = adminServerOf(cluster)
  const open = <T>(database: string, run: (sql: AdminSql) => Promise<T>) => withServer(server, database, run)
  const { databases, roles, foreign: strangers } = await open('postgres', (sql) => scanServer(sql, app))
  const foreign: Foreign[] = strangers.map((f) => ({ ...f, region, cluster: name, database: null }))
  const looked = { region, cluster: name, databases: 0, schemas: 0, tables: 0 }
  const worker = async () => {
    for (let database = databases.shift(); database !== undefined; database = databases.shift()) {
      const result = await open(database, (sql) => scanOne(sql, database!, known, roles))
      if (result === null) continue
      looked.databases++
      looked.schemas += result.schemas
      looked.tables += result.tables
      foreign.push(...result.found.map((f) => ({ ...f, region, cluster: name, database: database! })))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return { looked, foreign }
}

type Stranger = Pick<Foreign, 'kind' | 'what' | 'tenant'>

/** Databases, and roles: Innkeeper makes no role for a tenant, and lets nobody become one of its own. */
async function scanServer(sql: AdminSql, app: string) {
  const rows = await sql<{ name: string }[]>`
    select datname as name from pg_database where datallowconn and not datistemplate order by 1`
  const [me] = await sql<{ name: string }[]>`select current_user as name`
  const members = await sql<{ member: string; role: string }[]>`
    select m.member::regrole::text as member, m.roleid::regrole::text as role from pg_auth_members m
    join pg_roles r on r.oid = m.member
    where m.roleid::regrole::text = any (${[app, ...OWN_ROLES]}) and r.rolname <> ${me!.name} and not r.rolsuper order by 1, 2`
  const foreign: Stranger[] = members.map((m) => ({
    kind: 'role',
    what: `${m.member} is a member of ${m.role}`,
    tenant: null,
  }))
  return { databases: rows.map((r) => r.name), roles: [app, me!.name, ...OWN_ROLES], foreign }
}

/** @returns null for a database that has nothing of any tenant's */
async function scanOne(sql: AdminSql, database: string, known: readonly KnownRoom[], roles: readonly string[]) {
  const here = known.filter((r) => r.database === database)
  const isOurs = here.length > 0 || database === SHARED_DATABASE || database === SCHEMAS_DATABASE
  if (!isOurs && (database === REGION_DATABASE || (await isDirectory(sql)))) return null
  const standing = database === SHARED_DATABASE ? [APP_SCHEMA, 'public'] : ['public']
  const result = await scanDatabase(sql, here, standing, roles)
  if (isOurs) return result
  // One that the directory does not know: whose it is shows in its rows and books, and what else is in it goes without saying.
  const of = result.found.filter((f) => f.kind === 'rows' || f.kind === 'books' || f.kind === 'unread')
  if (of.length === 0 && !OWN_DATABASE.test(database)) return null
  return { ...result, found: [{ kind: 'database', what: `database ${database}`, tenant: null } as const, ...of] }
}

/** The control database may be on the same server: it has tenants' ids, and nothing of theirs. */
async function isDirectory(sql: AdminSql): Promise<boolean> {
  const [found] = await sql<{ is: boolean }[]>`
    select to_regclass('public.directory_versions') is not null and to_regclass('public.placements') is not null as is`
  return found!.is
}
