-- A region's half of the mover has a role of its own here. It may work on the moves that lead into its region, and write of a
-- tenant what such a move says, while it is open; so no half can make up a move, by which it would be let into another region.

create table mover_roles (
  role name primary key,
  region text not null
);

-- Of whoever asks: null for the control plane, which is not held to anything here; otherwise the region that its moves lead to,
-- or an empty text where it has none. By the session's user, so that it is the same inside of what runs with more rights.
create function mover_region() returns text language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select case when pg_has_role(session_user, relowner, 'member') then null
    else coalesce((select region from mover_roles where role = session_user), '') end
  from pg_class where oid = 'moves'::regclass
$$;

-- What follows from a change is noted whoever made it.
alter function tenants_changed() security definer set search_path = public, pg_temp;
alter function placements_changed() security definer set search_path = public, pg_temp;
alter function placement_noted() security definer set search_path = public, pg_temp;
alter function home_noted() security definer set search_path = public, pg_temp;
alter function tenants_resident() security definer set search_path = public, pg_temp;
-- Nor does anybody have them note what happens in a table of his own.
revoke execute on function tenants_changed(), placements_changed(), placement_noted(), home_noted(), tenants_resident() from public;

-- Errors: IK053 a half of the mover changes what is not its own.
create function mover_may() returns trigger language plpgsql as $$
declare
  region constant text := mover_region();
  -- A move goes where it was planned to go; its epochs alone are given out on the way.
  epoch constant text[] := '{placement,epoch}';
  may boolean;
begin
  if region is null then
    return new;
  end if;
  if tg_table_name = 'moves' then
    may := old.ended_at is null and old.destination ->> 'region' = region
      and (old.id, old.tenant_id, old.asked_by, old.created_at, old.origin #- epoch, old.destination #- epoch)
        = (new.id, new.tenant_id, new.asked_by, new.created_at, new.origin #- epoch, new.destination #- epoch);
  elsif tg_table_name = 'tenants' then
    may := exists (
      select from moves m cross join lateral (values (m.origin), (m.destination)) as home (place)
      where m.tenant_id = old.id and m.ended_at is null and m.destination ->> 'region' = region
        -- As they are is what an operator may have made of them meanwhile.
        and ((new.region, new.tier) = (old.region, old.tier)
          or (home.place ->> 'region', home.place ->> 'tier') = (new.region, new.tier)));
  else
    may := old.tenant_id = new.tenant_id and exists (
      select from moves m cross join lateral (values (m.origin -> 'placement'), (m.destination -> 'placement')) as room (place)
      where m.tenant_id = old.tenant_id and m.ended_at is null and m.destination ->> 'region' = region
        and (room.place ->> 'cluster', room.place ->> 'database', room.place ->> 'schema', room.place ->> 'isolation')
          = (new.cluster, new.database, new.schema, new.isolation));
  end if;
  if not may then
    raise exception using errcode = 'IK053', message = format('the mover of region %s has no open move that would change that', region);
  end if;
  return new;
end $$;
create trigger mover_may before update on moves for each row execute function mover_may();
create trigger mover_may before update on tenants for each row execute function mover_may();
create trigger mover_may before update on placements for each row execute function mover_may();
