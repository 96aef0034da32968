-- API keys of the tenants at home in this region. Of a secret only its hash is here. Gateways reach the table through two
-- functions alone, so that nobody who can run a statement as the gateways' role can list keys.

create schema keys;

create table keys.api_keys (
  id uuid primary key,
  tenant_id uuid not null,
  hash bytea not null unique check (octet_length(hash) = 32),
  name text not null,
  scopes text[] not null check (cardinality(scopes) > 0 and scopes <@ array['read', 'write']),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
create index api_keys_tenant on keys.api_keys (tenant_id, created_at desc);

create table keys.changes (
  seq bigint generated always as identity primary key,
  keys text[] not null,
  at timestamptz not null default now()
);

create function keys.changed() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
  -- Writers take turns up to their commit, so that numbers become visible in their order.
  perform pg_advisory_xact_lock(1229868623);
  insert into keys.changes (keys) values (array[encode(coalesce(new.hash, old.hash), 'hex')]);
  perform pg_notify('innkeeper_keys', '');
  return null;
end $$;
create trigger changed after insert or update or delete on keys.api_keys
  for each row execute function keys.changed();

-- The key with this hash, and up to which change that is right. One row always; `id` is null where there is no such key.
create function keys.find(wanted bytea) returns table (
  as_of bigint, id uuid, tenant_id uuid, name text, scopes text[],
  created_at timestamptz, expires_at timestamptz, revoked_at timestamptz
) language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select (select coalesce(max(seq), 0) from keys.changes), k.id, k.tenant_id, k.name, k.scopes,
    k.created_at, k.expires_at, k.revoked_at
  from (select) one left join keys.api_keys k on k.hash = wanted
$$;

create function keys.changes_since(after bigint) returns table (seq bigint, keys text[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select c.seq, c.keys from keys.changes c where c.seq > after order by c.seq limit 1000
$$;

create function keys.last_change() returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce(max(seq), 0) from keys.changes
$$;
