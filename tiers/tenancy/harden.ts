import type { AdminSql } from '../pg/admin.ts'
import { quoteIdent } from '../quote.ts'
import { INSTALL_LOCK, TENANCY } from './roles.ts'

/**
 * What PostgreSQL gives everyone and tenants must not have, because they share a database role: each other's statements
 * and locks, the planner's numbers, objects without row-level security, and functions that run SQL given as text.
 * The patterns match names in pg_catalog.
 */
const FUNCTIONS = [
  'pg\\_advisory\\_%',
  'pg\\_try\\_advisory\\_%',
  'pg\\_terminate\\_backend',
  'pg\\_cancel\\_backend',
  'pg\\_stat\\_get\\_%',
  'pg\\_stat\\_%reset%',
  'pg\\_lock\\_status',
  'pg\\_prepared\\_%',
  'pg\\_cursor',
  'pg\\_blocking\\_pids',
  'pg\\_%\\_size',
  'pg\\_logical\\_emit\\_message',
  'pg\\_notify',
  'pg\\_export\\_snapshot',
  'pg\\_get\\_backend\\_memory\\_contexts',
  'lo\\_%',
  'loread',
  'lowrite',
  'query\\_to\\_xml%',
  'cursor\\_to\\_xml%',
  'table\\_to\\_xml%',
  'schema\\_to\\_xml%',
  'database\\_to\\_xml%',
] as const

const RELATIONS = [
  'pg\\_stat%',
  'pg\\_locks',
  'pg\\_prepared\\_%',
  'pg\\_cursors',
  'pg\\_largeobject%',
  'pg\\_file\\_settings',
] as const

/** The planner's estimates of a table that tenants share: how many rows everyone has in it. */
const HIDDEN_CLASS_COLUMNS = ['reltuples', 'relpages', 'relallvisible', 'relallfrozen']

/**
 * Takes these rights from everyone in one database. It needs a superuser; on a managed server it does nothing and
 * `hardeningGaps` says what is open.
 */
export async function harden(sql: AdminSql, app: string): Promise<void> {
  const [me] = await sql<{ rolsuper: boolean }[]>`select rolsuper from pg_roles where rolname = current_user`
  if (!me?.rolsuper) return
  await sql.begin(async (tx) => {
    // PostgreSQL refuses whoever comes second to a right that is just being changed.
    await tx`select pg_advisory_xact_lock(${INSTALL_LOCK})`
    const functions = await tx<{ signature: string; name: string }[]>`
      select p.oid::regprocedure::text as signature, p.proname as name from pg_proc p
      where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.proname like any (${[...FUNCTIONS]})`
    if (functions.length > 0) {
      await tx.unsafe(`revoke execute on function ${functions.map((f) => f.signature).join(', ')} from public`)
    }
    const locks = functions.filter((f) => f.name === 'pg_try_advisory_xact_lock_shared').map((f) => f.signature)
    await tx.unsafe(`grant execute on function ${locks.join(', ')} to ${TENANCY}`)
    const relations = await tx<{ name: string }[]>`
      select c.oid::regclass::text as name from pg_class c
      where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind in ('r', 'v') and c.relname like any (${[...RELATIONS]})`
    await tx.unsafe(`revoke all on ${relations.map((r) => r.name).join(', ')} from public`)
    const columns = await tx<{ name: string }[]>`
      select attname as name from pg_attribute where attrelid = 'pg_class'::regclass and not attisdropped
        and attname <> all (${HIDDEN_CLASS_COLUMNS}) order by attnum`
    await tx.unsafe('revoke select on pg_class from public')
    await tx.unsafe(`grant select (${columns.map((c) => quoteIdent(c.name)).join(', ')}) on pg_class to public`)
    // DO blocks: procedural code that could commit and go on.
    await tx.unsafe(`revoke usage on language plpgsql from public`)
    await tx.unsafe(`grant usage on language plpgsql to ${TENANCY}, innkeeper_owner`)
  })
  await assertPlain(sql, app)
}

/** The gateways' role must be an ordinary one: every other protection rests on it. */
async function assertPlain(sql: AdminSql, app: string): Promise<void> {
  const [role] = await sql<{ bad: boolean }[]>`
    select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication
      or exists (select from pg_auth_members m where m.member = r.oid) as bad
    from pg_roles r where rolname = ${app}`
  if (role?.bad !== false) throw new Error(`the role ${app} must have no attributes and be a member of no role`)
}

/** What tenants could still reach in this database, for `doctor`: names of functions and views, empty where all is shut. */
export async function hardeningGaps(sql: AdminSql, app: string): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select distinct p.proname as name from pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace and p.proname like any (${[...FUNCTIONS]}) and p.prokind = 'f'
      and has_function_privilege(${app}, p.oid, 'execute')
    union
    select c.relname from pg_class c
    where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind in ('r', 'v') and c.relname like any (${[...RELATIONS]})
      and has_table_privilege(${app}, c.oid, 'select')
    order by 1`
  return rows.map((r) => r.name)
}
