import type { AdminSql } from '../pg/admin.ts'

export interface Fault {
  readonly object: string
  readonly fault: string
  readonly fix: string
}

/**
 * Looks through a room for what row-level security alone would not hold (PROTOCOL A7). Each query names one kind of hole.
 * A column number list that leads with the number of `tenant_id` is what makes a key a tenant's own.
 */
export async function faultsOf(tx: AdminSql, room: string, references: readonly string[]): Promise<Fault[]> {
  const refs = [...references]
  return tx<Fault[]>`
    with tables as (
      select c.oid, c.relname, c.relkind, c.relpersistence, c.relhasrules, a.attnum as tenant, a.attnotnull, a.atttypid
      from pg_class c
      left join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
      where c.relnamespace = ${room}::regnamespace and c.relkind in ('r', 'p')
    ), own as (
      select * from tables where relname <> all (${refs})
    ), defaults as materialized (
      -- Apart, because pg_get_expr locks the table of each row it is given: pushed down to the catalogue it would wait for
      -- the migrations of all other rooms, and deadlock with them.
      select own.relname, a.attname, d.adbin, d.adrelid
      from own join pg_attribute a on a.attrelid = own.oid and a.attidentity = '' and not a.attisdropped
      join pg_attrdef d on d.adrelid = own.oid and d.adnum = a.attnum
    ), calls as not materialized (
      -- Also those that an operator hides.
      select d.classid, d.objid, p.oid as fn from pg_depend d left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
      join pg_proc p on p.oid = case when d.refclassid = 'pg_proc'::regclass then d.refobjid else o.oprcode end
      where d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass)
        and p.provolatile <> 'i' and p.pronamespace <> 'pg_catalog'::regnamespace
    )
    select relname as object, 'has no tenant_id' as fault,
      'Declare the table with tenantTable, or with referenceTable where all tenants share its rows.' as fix
    from own where tenant is null
    union all
    select relname, 'tenant_id is not "uuid not null"', 'Declare tenant_id as uuid not null.'
    from own where tenant is not null and (not attnotnull or atttypid <> 'uuid'::regtype)
    union all
    select relname, 'has no primary key', 'Give the table a primary key that begins with tenant_id.'
    from own where tenant is not null
      and not exists (select from pg_index i where i.indrelid = own.oid and i.indisprimary)
    union all
    select i.indexrelid::regclass::text, 'a unique or exclusion key without tenant_id tells about other tenants'' rows',
      'Lead the key with tenant_id.'
    from own join pg_index i on i.indrelid = own.oid
    where tenant is not null and (i.indisunique or i.indisexclusion)
      and (case when i.indisprimary then i.indkey[0] <> tenant
        else not (tenant = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])) end)
    union all
    select i.relname, 'an exclusion key whose tenant_id is not compared with "=" tells about other tenants'' rows',
      'Write tenant_id WITH =.'
    from own join pg_constraint k on k.conrelid = own.oid and k.contype = 'x' join pg_class i on i.oid = k.conindid
    where k.conexclop[array_position(k.conkey, tenant)] <> 'pg_catalog.=(uuid,uuid)'::regoperator
    union all
    select own.relname || '.' || k.conname, 'a foreign key without tenant_id reaches into other tenants'' rows',
      'Lead both sides of the foreign key with tenant_id.'
    from own join pg_constraint k on k.conrelid = own.oid and k.contype = 'f'
    join pg_class target on target.oid = k.confrelid
    left join pg_attribute ta on ta.attrelid = target.oid and ta.attname = 'tenant_id'
    where tenant is not null and target.relname <> all (${refs})
      and not exists (
        select from unnest(k.conkey, k.confkey) as pair(here, there) where here = tenant and there = ta.attnum)
    union all
    select own.relname || '.' || k.conname, 'ON DELETE SET NULL or SET DEFAULT would clear tenant_id too',
      'Name the columns: ON DELETE SET NULL (column).'
    from own join pg_constraint k on k.conrelid = own.oid and k.contype = 'f'
    where k.confdeltype in ('n', 'd') and tenant = any (coalesce(k.confdelsetcols, k.conkey))
    union all
    select own.relname || '.' || k.conname, 'ON UPDATE SET NULL or SET DEFAULT would clear tenant_id too',
      'Use ON UPDATE CASCADE or NO ACTION.'
    from own join pg_constraint k on k.conrelid = own.oid and k.contype = 'f'
    where k.confupdtype in ('n', 'd') and tenant = any (k.conkey)
    union all
    select own.relname || '.' || k.conname, 'the foreign key points out of the room', 'Point it at a table of the room.'
    from own join pg_constraint k on k.conrelid = own.oid and k.contype = 'f'
    join pg_class target on target.oid = k.confrelid where target.relnamespace <> ${room}::regnamespace
    union all
    -- Policies are those of the table that a query names: what it inherits into is read with none of its own.
    select own.relname, 'inherits from a table without policies, through which all tenants read its rows',
      'Give the table columns of its own.'
    from own join pg_inherits h on h.inhrelid = own.oid join pg_class parent on parent.oid = h.inhparent
    where parent.relname = any (${refs}) or parent.relnamespace <> ${room}::regnamespace
    union all
    select own.relname || '.' || p.polname, 'a permissive policy beside Innkeeper''s opens what that one shuts',
      'Write it AS RESTRICTIVE.'
    from own join pg_policy p on p.polrelid = own.oid where p.polpermissive and p.polname not in ('innkeeper_tenant', 'innkeeper_mover')
    union all
    select relname || '.' || attname, 'is filled by a sequence that tenants have no right to',
      'Use GENERATED BY DEFAULT AS IDENTITY in place of serial.'
    from defaults where pg_get_expr(adbin, adrelid) ~ '^nextval\\('
    union all
    -- Drawn also by inserts that are rolled back. 2^31 is what an integer has.
    select own.relname || '.' || a.attname, 'its numbers are few, or come again: one tenant can use up those of all',
      'Declare the identity as bigint, without limits and without CYCLE.'
    from own join pg_attribute a on a.attrelid = own.oid and a.attidentity <> '' and not a.attisdropped
    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = own.oid and d.refobjsubid = a.attnum
      and d.classid = 'pg_class'::regclass and d.deptype = 'i'
    join pg_sequence s on s.seqrelid = d.objid
    where s.seqcycle or (s.seqmax::numeric - s.seqmin) / abs(s.seqincrement::numeric) < 2147483646
    union all
    select relname, 'has a rule, which runs with its owner''s rights', 'Use a trigger.' from tables where relhasrules
    union all
    select relname, 'is unlogged: its rows are lost in a crash and cannot be moved', 'Make it LOGGED.'
    from own where relpersistence = 'u'
    union all
    select c.relname, case c.relkind when 'm' then 'a materialised view holds every tenant''s rows without policies'
        else 'a foreign table has no row-level security' end, 'Keep it out of the room.'
    from pg_class c where c.relnamespace = ${room}::regnamespace and c.relkind in ('m', 'f')
    union all
    select c.relname, 'a view without security_invoker reads with its owner''s rights',
      'Create it WITH (security_invoker = true).'
    from pg_class c where c.relnamespace = ${room}::regnamespace and c.relkind = 'v'
      and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
    union all
    select p.oid::regprocedure::text, 'runs with its owner''s rights', 'Make it SECURITY INVOKER.'
    from pg_proc p where p.pronamespace = ${room}::regnamespace and p.prosecdef and p.prorettype <> 'trigger'::regtype
    union all
    select own.relname || '.' || t.tgname, 'the trigger''s function is not in the room', 'Create the function in the room.'
    from own join pg_trigger t on t.tgrelid = own.oid and not t.tgisinternal
    join pg_proc p on p.oid = t.tgfoid
    where p.pronamespace not in (${room}::regnamespace, 'pg_catalog'::regnamespace, 'tenancy'::regnamespace)
    union all
    select own.relname || '.' || t.tgname, 'its condition calls a function that may read tables, inside a cascade with the owner''s rights',
      'Move the condition into the trigger''s function, or mark the called one IMMUTABLE if it reads no table.'
    from own join pg_trigger t on t.tgrelid = own.oid and not t.tgisinternal and t.tgqual is not null
    join calls on calls.classid = 'pg_trigger'::regclass and calls.objid = t.oid and calls.fn <> t.tgfoid
    where calls.fn is distinct from to_regprocedure('tenancy.applying()')
    union all
    select coalesce(own.relname, k.contypid::regtype::text) || '.' || k.conname,
      'calls a function that may read tables, inside a cascade with the owner''s rights',
      'Use a trigger, or mark the called function IMMUTABLE if it reads no table.'
    from pg_constraint k left join own on own.oid = k.conrelid
    join calls on calls.classid = 'pg_constraint'::regclass and calls.objid = k.oid
    where k.contype = 'c' and (own.oid is not null or k.contypid <> 0 and k.connamespace = ${room}::regnamespace)
    union all
    select own.relname || '.' || k.conname, 'SET DEFAULT calls a function that may read tables, inside a cascade with the owner''s rights',
      'Use SET NULL (column), or mark the called function IMMUTABLE if it reads no table.'
    from own join pg_constraint k on k.conrelid = own.oid and k.contype = 'f' and 'd' in (k.confdeltype, k.confupdtype)
    join pg_attribute a on a.attrelid = own.oid and a.attnum = any (k.conkey) and a.attnum <> tenant
    left join pg_attrdef d on d.adrelid = own.oid and d.adnum = a.attnum
    join calls on (calls.classid, calls.objid) in (('pg_attrdef'::regclass, d.oid), ('pg_type'::regclass, a.atttypid))
    order by 1, 2`
}
