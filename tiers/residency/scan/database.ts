import type { AdminSql } from '../../pg/admin.ts'
import { quoteIdent } from '../../quote.ts'
import type { Foreign, KnownRoom } from './found.ts'

type Found = Pick<Foreign, 'kind' | 'what' | 'tenant'>

export interface DatabaseScan {
  readonly schemas: number
  readonly tables: number
  readonly found: readonly Found[]
}

interface Table {
  readonly schema: string
  readonly name: string
  readonly isLed: boolean
  readonly isHidden: boolean
}

/** Rooms that are there before their first tenant. */
export type StandingRoom = string

/**
 * Looks through one database for what is of tenants that have no room in it: schemas, rows in whatever table has a tenant
 * column, fences, notes and books of moves, and roles that may look in and are nobody's. Nothing is taken from the list of
 * tables that Innkeeper made: the catalogue says what there is.
 *
 * @param known   the rooms that the directory knows in this database
 * @param standing schemas that belong here whether or not anybody lives in them
 * @param roles   those that may be here
 */
export async function scanDatabase(
  sql: AdminSql,
  known: readonly KnownRoom[],
  standing: readonly StandingRoom[],
  roles: readonly string[],
): Promise<DatabaseScan> {
  const schemas = await sql<{ name: string; relations: number }[]>`
    select n.nspname as name, (select count(*)::int from pg_class c where c.relnamespace = n.oid) as relations
    from pg_namespace n where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'tenancy') order by 1`
  const tables = await tablesOf(sql)
  const found: Found[] = []
  for (const { name, relations } of schemas) {
    const isKnown = standing.includes(name) || known.some((r) => r.schema === name)
    // An empty schema that nobody named as a room says nothing of anybody.
    if (isKnown || (relations === 0 && !/^r_[0-9a-f]{20}$/.test(name))) continue
    found.push({ kind: 'schema', what: `schema ${name}, ${relations} tables and indexes`, tenant: null })
  }
  for (const table of tables) found.push(...(await foreignRows(sql, table, known)))
  found.push(...(await foreignBooks(sql, known)), ...(await foreignRoles(sql, roles)))
  return { schemas: schemas.length, tables: tables.length, found }
}

async function tablesOf(sql: AdminSql): Promise<Table[]> {
  return sql<Table[]>`
    select n.nspname as schema, c.relname as name,
      exists (select from pg_index i where i.indrelid = c.oid and i.indkey[0] = a.attnum and i.indpred is null) as "isLed",
      row_security_active(c.oid) as "isHidden"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and a.atttypid = 'uuid'::regtype and not a.attisdropped
    where c.relkind in ('r', 'p', 'm') and not c.relispartition and n.nspname !~ '^pg_' and n.nspname <> 'tenancy'
    order by 1, 2`
}

async function foreignRows(
  sql: AdminSql,
  { schema, name, isLed, isHidden }: Table,
  known: readonly KnownRoom[],
): Promise<Found[]> {
  const table = `${quoteIdent(schema)}.${quoteIdent(name)}`
  if (isHidden) return [{ kind: 'unread', what: `${schema}.${name}`, tenant: null }]
  // From one tenant to the next by the index: as many steps as there are tenants, however many rows they have.
  const tenants = isLed
    ? `with recursive step as (
         (select tenant_id from ${table} order by tenant_id limit 1)
         union all
         select (select t.tenant_id from ${table} t where t.tenant_id > step.tenant_id order by t.tenant_id limit 1)
         from step where step.tenant_id is not null)
       select tenant_id::text as tenant from step where tenant_id is not null`
    : `select distinct tenant_id::text as tenant from ${table} where tenant_id is not null`
  const mine = new Set<string>(known.filter((r) => r.schema === schema).map((r) => r.tenant))
  const found: Found[] = []
  for (const { tenant } of await sql.unsafe<{ tenant: string }[]>(tenants)) {
    if (mine.has(tenant)) continue
    const [rows] = await sql.unsafe<{ n: number }[]>(`select count(*)::int as n from ${table} where tenant_id = $1`, [
      tenant,
    ])
    found.push({ kind: 'rows', what: `${rows!.n} rows in ${schema}.${name}`, tenant })
  }
  return found
}

/** Fences, notes and books of moves, where there are any. */
async function foreignBooks(sql: AdminSql, known: readonly KnownRoom[]): Promise<Found[]> {
  const mine = known.map((r) => r.tenant)
  const found: Found[] = []
  for (const name of ['fence', 'notes', 'moves']) {
    const [there] = await sql<{ found: boolean }[]>`select to_regclass(${`tenancy.${name}`}) is not null as found`
    if (!there!.found) continue
    const rows = await sql.unsafe<{ tenant: string; n: number }[]>(
      `select tenant_id::text as tenant, count(*)::int as n from tenancy.${name} where tenant_id <> all ($1::uuid[]) group by 1 order by 1`,
      [mine],
    )
    found.push(...rows.map(({ tenant, n }) => ({ kind: 'books' as const, what: `${n} in tenancy.${name}`, tenant })))
  }
  return found
}

/** Whoever may look into a room and is none of Innkeeper's own. */
async function foreignRoles(sql: AdminSql, roles: readonly string[]): Promise<Found[]> {
  const rows = await sql<{ role: string; objects: number; first: string }[]>`
    with granted as (
      select (aclexplode(n.nspacl)).grantee as role, 'schema ' || n.nspname as object from pg_namespace n
      where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public')
      union all
      select (aclexplode(c.relacl)).grantee, n.nspname || '.' || c.relname
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    )
    select coalesce(r.rolname, 'everybody') as role, count(*)::int as objects, min(g.object) as first
    from granted g left join pg_roles r on r.oid = g.role
    where coalesce(r.rolname, '') <> all (${[...roles]}) and r.rolsuper is not true
    group by 1 order by 1`
  return rows.map(({ role, objects, first }) => ({
    kind: 'role',
    what: `${role} may use ${objects === 1 ? first : `${objects} things, ${first} the first`}`,
    tenant: null,
  }))
}
