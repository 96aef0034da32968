import type { AdminSql } from '../../../tiers/pg/admin.ts'

interface Row {
  readonly room: string
  readonly name: string | null
  readonly fault: string
}

/**
 * Tables of rooms that are not behind the door as `protectRoom` leaves them, ways around the door, also to the keys that are
 * behind it, and rooms with no table at all: a look that finds nothing to look at proves nothing.
 */
export async function unprotectedTables(
  sql: AdminSql,
  rooms: readonly string[],
  references: readonly string[],
  app: string,
): Promise<string[]> {
  const rows = await sql<Row[]>`
    with tables as (
      select c.oid, n.nspname as room, c.relname as name, c.relrowsecurity as rls, c.relforcerowsecurity as forced,
        c.relowner::regrole::text as owner, c.relname = any(${[...references]}) as reference,
        exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped) as led
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any(${[...rooms]}) and c.relkind in ('r', 'p')
    ), own as (select * from tables where not reference)
    select room, name, 'has no tenant_id' as fault from own where not led
    union all
    select room, name, 'row-level security is off' from own where not rls
    union all
    select room, name, 'row-level security is not forced' from own where not forced
    union all
    select room, name, 'Innkeeper''s policy is missing or changed' from own where not exists (
      select from pg_policy p where p.polrelid = own.oid and p.polname = 'innkeeper_tenant' and p.polcmd = '*'
        and p.polpermissive and ${app}::regrole = any (p.polroles)
        and pg_get_expr(p.polqual, p.polrelid) ~ '^\\(tenant_id = \\( SELECT tenancy\\.tenant_id\\(\\)'
        and pg_get_expr(p.polwithcheck, p.polrelid) ~ '^\\(tenant_id = \\( SELECT tenancy\\.tenant_id\\(\\)')
    union all
    select room, name, 'has a second permissive policy' from own where exists (
      select from pg_policy p where p.polrelid = own.oid and p.polpermissive and p.polname <> 'innkeeper_tenant'
        and p.polroles <> array[(select oid from pg_roles where rolname = 'innkeeper_mover')])
    union all
    select room, name, 'belongs to the gateways'' role' from tables where owner = ${app}
    union all
    select room, name, 'is a reference table that tenants may write' from tables
    where reference and has_table_privilege(${app}, oid, 'insert, update, delete, truncate')
    union all
    select room, name, 'may be emptied by tenants, whoever''s rows it holds' from tables
    where has_table_privilege(${app}, oid, 'truncate')
    union all
    select n.nspname, c.relname, 'is a view that shows tenants what its owner sees' from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any(${[...rooms]}) and c.relkind in ('v', 'm') and has_table_privilege(${app}, c.oid, 'select')
      and not exists (
        select from pg_options_to_table(c.reloptions) where option_name = 'security_invoker' and option_value::boolean)
    union all
    select n.nspname, p.proname, 'is a function that does for tenants what its owner may' from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = any(${[...rooms]}) and p.prosecdef and p.prorettype <> 'trigger'::regtype
      and has_function_privilege(${app}, p.oid, 'execute')
      and not exists (select from pg_depend d where (d.classid, d.objid, d.deptype) = ('pg_proc'::regclass, p.oid, 'e'))
    union all
    select n.nspname, null, 'is a schema in which tenants may create' from pg_namespace n
    where n.nspname = any(${[...rooms]}) and has_schema_privilege(${app}, n.oid, 'create')
    union all
    select 'tenancy', c.relname, 'is open to the gateways'' role' from pg_class c
    where c.relnamespace = 'tenancy'::regnamespace and c.relkind in ('r', 'p', 'v')
      and (has_table_privilege(${app}, c.oid, 'select, insert, update, delete, truncate, references, trigger')
        or has_any_column_privilege(${app}, c.oid, 'select, insert, update, references'))
    union all
    select room, null, 'has no tables' from unnest(${[...rooms]}::text[]) room
    where not exists (select from tables t where t.room = room.room)
    order by 1, 2, 3`
  return rows.map(({ room, name, fault }) => `${name === null ? `room ${room}` : `${room}.${name}`} ${fault}`)
}
