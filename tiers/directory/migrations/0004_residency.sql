-- Residency: where a tenant's data may be, and where it has been. What a profile asks for is in the configuration; what the
-- directory can hold a tenant to stands here as well, as a second guard behind the control plane.

-- Written by the control plane from its configuration, when it starts.
create table residency_profiles (
  name text primary key,
  regions text[] not null,
  -- Those that the profile names, of an isolation model that it allows.
  tiers text[] not null,
  -- Whether requests may pass through other regions.
  transit boolean not null
);

-- Both are for gateways too: what may not pass through another region is never forwarded there.
alter table tenants
  add column profile text,
  add column pinned text[] check (cardinality(pinned) > 0);

-- Errors: IK050 the tenant's residency forbids it. A profile that is not known allows nothing.
create function tenants_resident() returns trigger language plpgsql as $$
declare
  kept residency_profiles;
begin
  if new.pinned is not null and new.region <> all (new.pinned) then
    raise exception using errcode = 'IK050', message = format('%s is pinned to %s, and %s is not among them', new.slug, new.pinned, new.region);
  end if;
  if new.profile is null then
    return new;
  end if;
  select * into kept from residency_profiles p where p.name = new.profile;
  if kept.name is null then
    raise exception using errcode = 'IK050', message = format('profile %s of %s is not known', new.profile, new.slug);
  elsif new.region <> all (kept.regions) then
    raise exception using errcode = 'IK050', message = format('profile %s of %s does not allow region %s', new.profile, new.slug, new.region);
  elsif new.tier <> all (kept.tiers) then
    raise exception using errcode = 'IK050', message = format('profile %s of %s does not allow tier %s', new.profile, new.slug, new.tier);
  elsif new.away = 'forward' and not kept.transit then
    raise exception using errcode = 'IK050', message = format('profile %s of %s does not allow its requests to be forwarded', new.profile, new.slug);
  end if;
  return new;
end $$;
create trigger tenants_resident before insert or update of region, tier, away, profile, pinned on tenants
  for each row execute function tenants_resident();

-- Where each tenant has lived: a row for each home, closed when the next one begins. It outlives the tenant.
create table placement_history (
  id bigint generated always as identity primary key,
  tenant_id uuid not null,
  slug text not null,
  region text not null,
  tier text not null,
  cluster text not null,
  database text not null,
  schema text not null,
  isolation text not null,
  epoch bigint not null,
  from_at timestamptz not null default clock_timestamp(),
  until_at timestamptz,
  -- Of a tenant that is older than this table: what was before is in its moves alone.
  is_reconstructed boolean not null default false
);
create unique index placement_history_open on placement_history (tenant_id) where until_at is null;
create index placement_history_tenant on placement_history (tenant_id, id);

insert into placement_history (tenant_id, slug, region, tier, cluster, database, schema, isolation, epoch, from_at, is_reconstructed)
select t.id, t.slug, t.region, t.tier, p.cluster, p.database, p.schema, p.isolation, p.epoch, t.created_at, true
from tenants t join placements p on p.tenant_id = t.id;

-- Called for every change of a tenant's room, region or tier, whoever made it.
create function note_placement(tenant uuid) returns void language plpgsql as $$
declare
  known placement_history;
  here record;
  at timestamptz := clock_timestamp();
begin
  select t.slug, t.region, t.tier, p.cluster, p.database, p.schema, p.isolation, p.epoch into here
    from tenants t join placements p on p.tenant_id = t.id where t.id = tenant;
  select * into known from placement_history h where h.tenant_id = tenant and h.until_at is null;
  if (known.region, known.tier, known.cluster, known.database, known.schema, known.epoch)
    is not distinct from (here.region, here.tier, here.cluster, here.database, here.schema, here.epoch) then
    return;
  end if;
  update placement_history set until_at = at where id = known.id;
  if here.slug is not null then
    insert into placement_history (tenant_id, slug, region, tier, cluster, database, schema, isolation, epoch, from_at)
    values (tenant, here.slug, here.region, here.tier, here.cluster, here.database, here.schema, here.isolation, here.epoch, at);
  end if;
end $$;

create function placement_noted() returns trigger language plpgsql as $$
begin
  perform note_placement(coalesce(new.tenant_id, old.tenant_id));
  return null;
end $$;
create trigger placement_noted after insert or update or delete on placements
  for each row execute function placement_noted();

create function home_noted() returns trigger language plpgsql as $$
begin
  perform note_placement(new.id);
  return null;
end $$;
create trigger home_noted after update of region, tier on tenants
  for each row execute function home_noted();

-- What has been noted stays as it is: a row is closed once, and that is all.
create function placement_history_kept() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and old.until_at is null
    and to_jsonb(old) - 'until_at' = to_jsonb(new) - 'until_at' then
    return new;
  end if;
  raise exception using errcode = 'IK051', message = 'the history of placements is append-only';
end $$;
create trigger placement_history_kept before update or delete on placement_history
  for each row execute function placement_history_kept();
create trigger placement_history_whole before truncate on placement_history
  for each statement execute function placement_history_kept();
