-- What `tenancy.capture()` did, whose statements were put together, parsed and planned anew for each write of everybody in the
-- database while anybody there was captured: some ten times what they cost where the server may keep their plans. It keeps
-- them for each trigger, and can where the columns of the key stand in the function's text.
--
-- Makes the function that notes keys of these columns, where there is none, and returns its name in this schema. Tables with
-- keys of the same names share it. The old one stays for rooms that no migration has come to since.
--
-- Who is captured is read once for a statement, from the fence by each row's own tenant, not from a setting, which injected
-- SQL could clear. An update notes the old key and the new one, once where they are the same to a pass, which compares jsonb.
--
-- With `tenancy.rehearsal` set it also plans and runs what it will do when somebody is captured, for nobody: the first write in
-- a room to which a tenant has just moved would pay for that. Whoever else sets it makes their own writes dearer, and no more.
create function tenancy.capture_function(columns text[]) returns name
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
     language plpgsql security definer set search_path = pg_catalog, pg_temp as %L', found,
    'declare
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
