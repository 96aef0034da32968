import { parsePostgresUrl } from '../../config/index.ts'
import type { AdminSql } from '../pg/admin.ts'
import { passwordLiteral } from '../pg/scram.ts'
import { quoteIdent, quoteLiteral } from '../quote.ts'

/**
 * The roles of a cluster. None of the four can log in or bypass row-level security:
 *   owner    owns the rooms and their tables; migrations run as it
 *   tenancy  owns the doors: keys, fence, `enter`
 *   trigger  owns the application's trigger functions, and no table, so that a cascade cannot reach past the policies
 *   mover    reads and writes the rows of the one tenant that a move is about; the control plane takes it on
 */
export const OWNER = 'innkeeper_owner'
export const TENANCY = 'innkeeper_tenancy'
export const TRIGGER = 'innkeeper_trigger'
export const MOVER = 'innkeeper_mover'

/** The schema of a room that has its database to itself or shares its tables. */
export const APP_SCHEMA = 'app'

/** One number for all installers of a cluster: they take turns. */
export const INSTALL_LOCK = 1_229_868_620

/** The class of a tenant's own lock: whoever is inside holds it shared (0001_rooms.sql). The number beside it is `uuid_hash(tenant)`. */
export const INSIDE_LOCK = 1_229_868_619

/** What the gateways' sessions begin with. */
export const APP_SETTINGS: Readonly<Record<string, string>> = {
  search_path: `${APP_SCHEMA}, pg_temp`,
  // A backstop; every transaction sets its tier's own.
  statement_timeout: '120s',
  idle_in_transaction_session_timeout: '60s',
  lock_timeout: '10s',
  // Compiling costs more than it gains for statements of a few rows.
  jit: 'off',
  timezone: 'UTC',
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
}

/** The login role that gateways use, from the cluster's URL. */
export interface AppLogin {
  readonly user: string
  readonly password: string
}

export function appLogin(clusterUrl: string): AppLogin {
  const { user, password } = parsePostgresUrl(clusterUrl)
  return { user, password }
}

/** Makes the cluster's roles and brings their attributes to what they have to be. Idempotent. */
export async function installRoles(sql: AdminSql, login: AppLogin): Promise<void> {
  const app = quoteIdent(login.user)
  await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${INSTALL_LOCK})`
    const existing = await tx<{ rolname: string }[]>`select rolname from pg_roles`
    const have = new Set(existing.map((r) => r.rolname))
    for (const role of [OWNER, TENANCY, TRIGGER, MOVER]) {
      if (!have.has(role)) await tx.unsafe(`create role ${quoteIdent(role)} nologin noinherit`)
      // Since PostgreSQL 16 whoever creates a role is its admin but not its member; superusers need neither.
      await tx.unsafe(`grant ${quoteIdent(role)} to current_user`)
    }
    if (!have.has(login.user)) await tx.unsafe(`create role ${app} login noinherit`)
    const password = passwordLiteral(login.password)
    // Only a superuser may say even that a role is none, and only a superuser could have made it one.
    const [me] = await tx<{ rolsuper: boolean }[]>`select rolsuper from pg_roles where rolname = current_user`
    const plain = me!.rolsuper ? 'nosuperuser noreplication nobypassrls' : ''
    await tx.unsafe(`alter role ${app} login nocreatedb nocreaterole ${plain} password ${password}`)
    // To end its connections to a database that is removed.
    if (!me!.rolsuper) await tx.unsafe(`grant ${app} to current_user`)
    for (const [name, value] of Object.entries(APP_SETTINGS)) {
      // A list is not one quoted name.
      const text = name === 'search_path' ? value : quoteLiteral(value)
      await tx.unsafe(`alter role ${app} set ${name} = ${text}`)
    }
  })
}
