-- Two faults of the functions that note keys, in those that are there and in those that will be made:
--
-- A moment in a key was noted in the time zone of whoever changed its row. Two sessions with different ones left two notes that
-- name one row, which a pass then brought twice, and so no pass could end. Now all are noted in UTC.
--
-- A table with a column that is called as a variable took nobody's writes while anybody in the database was captured. All columns
-- are qualified, so what is not is the variable.
do $$
declare
  made record;
begin
  alter function tenancy.capture() set timezone = 'UTC';
  for made in
    select p.oid::regprocedure as signature, p.prosrc from pg_proc p
    where p.pronamespace = 'tenancy'::regnamespace and p.prorettype = 'trigger'::regtype and p.proname ~ '^capture_[0-9a-f]{32}$'
  loop
    execute format(
      'create or replace function %s returns trigger
       language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = ''UTC'' as %L',
      made.signature, '#variable_conflict use_variable ' || made.prosrc);
  end loop;
end $$;

-- As it was, but for these.
create or replace function tenancy.capture_function(columns text[]) returns name
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  found name := 'capture_' || left(encode(sha256(convert_to(columns::text, 'UTF8')), 'hex'), 32);
  key text := (select string_agg(format('%L, r.%I', c, c), ', ') from unnest(columns) c);
  keys text := 'select r.tenant_id, tg_table_name, jsonb_build_object(' || coalesce(key, '') || ') from ';
  captured text := ' r where r.tenant_id = any (captured)';
  note text := ' insert into tenancy.notes (tenant_id, table_name, key) ';
begin
  if to_regprocedure(format('tenancy.%I()', found)) is not null then
    return found;
  end if;
  execute format(
    'create function tenancy.%I() returns trigger
     language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = ''UTC'' as %L', found,
    '#variable_conflict use_variable
     declare
       captured uuid[] := array(select f.tenant_id from tenancy.fence f where f.capture);
     begin
       if captured = ''{}'' and coalesce(current_setting(''tenancy.rehearsal'', true), '''') = '''' then
         return null;
       elsif tg_op = ''INSERT'' then' || note || keys || 'new_rows' || captured || ';
       elsif tg_op = ''DELETE'' then' || note || keys || 'old_rows' || captured || ';
       else' || note || keys || 'old_rows' || captured || ' union ' || keys || 'new_rows' || captured || ';
       end if;
       return null;
     end');
  execute format('revoke all on function tenancy.%I() from public', found);
  execute format('grant execute on function tenancy.%I() to innkeeper_owner', found);
  return found;
exception when unique_violation or duplicate_function then
  -- Another room of this database was being made, and has made it.
  return found;
end $$;
