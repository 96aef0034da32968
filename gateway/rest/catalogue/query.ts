/**
 * Everything about one schema in one statement and one row, so that a catalogue costs one round trip. Only what the
 * current role may select from is listed; partitions are left out, their parents stand for them. The answers come
 * back as JSON text, so that no driver's own type parsing gets in between.
 */
export const CATALOGUE_SQL = `
with relation as (
  select c.oid, c.relname, c.relkind
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1::text
    and c.relkind in ('r', 'p', 'v')
    and not c.relispartition
    and pg_catalog.has_table_privilege(c.oid, 'select')
), attribute as (
  select a.attrelid, a.attname, a.attnum, a.atttypid, a.atttypmod, a.attnotnull, a.attidentity, a.attgenerated, a.atthasdef
  from pg_catalog.pg_attribute a
  join relation r on r.oid = a.attrelid
  where a.attnum > 0 and not a.attisdropped
), used_type as (
  -- A domain is described by the type under it: its checks still run when a row is written.
  with recursive base as (
    select t.oid as id, t.oid, t.typtype, t.typbasetype from pg_catalog.pg_type t
    where t.oid in (select atttypid from attribute)
    union all
    select b.id, t.oid, t.typtype, t.typbasetype
    from base b join pg_catalog.pg_type t on t.oid = b.typbasetype where b.typtype = 'd'
  )
  -- An array goes by its elements' type: its own name is made up by the server, and need not be the same in each room.
  select b.id, b.oid, e.typname, e.typtype, t.typcategory = 'A' as is_array, n.nspname
  from base b
  join pg_catalog.pg_type t on t.oid = b.oid
  join pg_catalog.pg_type e on e.oid = case when t.typcategory = 'A' and t.typelem <> 0 then t.typelem else t.oid end
  join pg_catalog.pg_namespace n on n.oid = e.typnamespace
  where b.typtype <> 'd'
)
select
  (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', r.relname,
      'kind', case r.relkind when 'v' then 'view' else 'table' end,
      'comment', pg_catalog.obj_description(r.oid, 'pg_class'),
      'insert', pg_catalog.has_table_privilege(r.oid, 'insert'),
      'update', pg_catalog.has_table_privilege(r.oid, 'update'),
      'delete', pg_catalog.has_table_privilege(r.oid, 'delete')
    ) order by r.relname), '[]') from relation r)::text as tables,
  (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'table', r.relname,
      'name', a.attname,
      'label', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'typeSchema', t.nspname,
      'typeName', t.typname,
      'typeKind', t.typtype,
      'isArray', t.is_array,
      'enumValues', (select pg_catalog.json_agg(e.enumlabel order by e.enumsortorder)
                     from pg_catalog.pg_enum e where e.enumtypid = t.oid),
      'nullable', not a.attnotnull,
      'hasDefault', a.atthasdef or a.attidentity <> '',
      'generated', a.attgenerated <> '' or a.attidentity = 'a',
      'comment', pg_catalog.col_description(a.attrelid, a.attnum)
    ) order by r.relname, a.attnum), '[]')
    from attribute a
    join relation r on r.oid = a.attrelid
    join used_type t on t.id = a.atttypid)::text as columns,
  (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'table', r.relname,
      'name', i.relname,
      'primary', k.indisprimary,
      'columns', (select pg_catalog.json_agg(a.attname order by c.place)
                  from unnest(k.indkey) with ordinality c (attnum, place)
                  join attribute a on a.attrelid = k.indrelid and a.attnum = c.attnum
                  where c.place <= k.indnkeyatts)
    ) order by not k.indisprimary, i.relname), '[]')
    from pg_catalog.pg_index k
    join pg_catalog.pg_class i on i.oid = k.indexrelid
    join relation r on r.oid = k.indrelid
    -- A unique index without a constraint is a key as well, unless it is partial or over expressions. A deferrable one
    -- cannot be what ON CONFLICT names.
    where k.indisunique and k.indisvalid and k.indimmediate
      and k.indpred is null and k.indexprs is null)::text as keys,
  (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', k.conname,
      'from', r.relname,
      'to', f.relname,
      'pairs', (select pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, b.attname) order by c.place)
                from unnest(k.conkey, k.confkey) with ordinality c (local, remote, place)
                join attribute a on a.attrelid = k.conrelid and a.attnum = c.local
                join attribute b on b.attrelid = k.confrelid and b.attnum = c.remote)
    ) order by k.conname), '[]')
    from pg_catalog.pg_constraint k
    join relation r on r.oid = k.conrelid
    join relation f on f.oid = k.confrelid
    where k.contype = 'f')::text as foreign_keys,
  exists (select from pg_catalog.pg_namespace where nspname = $1::text) as here`
