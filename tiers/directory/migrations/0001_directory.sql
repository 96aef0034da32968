-- The directory: which tenant lives where. Routing facts only: no key material, no customer data.

create table tenants (
  id uuid primary key,
  slug text not null unique check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  tier text not null,
  region text not null,
  status text not null check (status in ('provisioning', 'active', 'suspended', 'offboarded')),
  config jsonb not null default '{}',
  -- The highest epoch ever given out; an epoch is never used twice, not by a second attempt and not by a rollback.
  epoch_last bigint not null default 0,
  idempotency_key text unique,
  version bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table placements (
  tenant_id uuid primary key references tenants (id) on delete cascade,
  cluster text not null,
  database text not null,
  schema text not null,
  isolation text not null check (isolation in ('shared', 'schema', 'database')),
  epoch bigint not null check (epoch > 0)
);
create index placements_cluster on placements (cluster, isolation);

create table domains (
  domain text primary key check (domain = lower(domain)),
  tenant_id uuid not null references tenants (id) on delete cascade
);
create index domains_tenant on domains (tenant_id);

-- Every change, numbered in the order of commit, for gateways that missed a notification. `keys` are the names under
-- which caches may hold an answer about this tenant, the answer "no such tenant" included.
create table changes (
  seq bigint generated always as identity primary key,
  tenant_id uuid not null,
  keys text[] not null,
  at timestamptz not null default now()
);

create function directory_change(tenant uuid, keys text[]) returns bigint language plpgsql as $$
declare
  number bigint;
begin
  -- Writers take turns from here to their commit, so that numbers become visible in their order and a reader who has
  -- seen number 7 will never be shown a 6 afterwards. Directory writes are rare.
  perform pg_advisory_xact_lock(1229868622);
  insert into changes (tenant_id, keys) values (tenant, keys) returning seq into number;
  perform pg_notify('innkeeper_directory', number::text);
  return number;
end $$;

create function tenants_changed() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    perform directory_change(old.id, array['id:' || old.id, 'slug:' || old.slug]);
    return old;
  end if;
  new.version := directory_change(new.id, array['id:' || new.id, 'slug:' || new.slug]
    || case when tg_op = 'UPDATE' and old.slug <> new.slug then array['slug:' || old.slug] else '{}' end);
  new.updated_at := now();
  return new;
end $$;
create trigger tenants_changed before insert or update or delete on tenants
  for each row execute function tenants_changed();

create function placements_changed() returns trigger language plpgsql as $$
begin
  update tenants set updated_at = now() where id = coalesce(new.tenant_id, old.tenant_id);
  return null;
end $$;
create trigger placements_changed after insert or update or delete on placements
  for each row execute function placements_changed();

create function domains_changed() returns trigger language plpgsql as $$
declare
  row domains := coalesce(new, old);
begin
  perform directory_change(row.tenant_id, array['domain:' || row.domain]
    || case when tg_op = 'UPDATE' then array['domain:' || old.domain] else '{}' end);
  return null;
end $$;
create trigger domains_changed after insert or update or delete on domains
  for each row execute function domains_changed();
