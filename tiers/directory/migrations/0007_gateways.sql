-- Which gateways there are and were, and whose requests they served: for the proof of where a tenant's data has been. A gateway
-- writes of itself, through two functions and nothing else; nothing here is asked on a request's path.

create table gateways (
  id uuid primary key,
  region text not null,
  host text not null,
  version text not null,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  stopped_at timestamptz
);

-- `home`: it answered the tenant's requests. `forwarded`: they passed through it on their way home. By the hour.
create table gateway_tenants (
  gateway_id uuid not null references gateways (id) on delete cascade,
  tenant_id uuid not null,
  how text not null check (how in ('home', 'forwarded')),
  first_at timestamptz not null default now(),
  last_at timestamptz not null default now(),
  primary key (gateway_id, tenant_id, how)
);
create index gateway_tenants_tenant on gateway_tenants (tenant_id);

create function gateway_seen(gateway uuid, of_region text, on_host text, of_version text, has_stopped boolean) returns void
language sql volatile security definer set search_path = public, pg_temp as $$
  insert into gateways (id, region, host, version) values (gateway, of_region, on_host, of_version)
  on conflict (id) do update set seen_at = now(), stopped_at = case when has_stopped then now() end
$$;

-- A region that a gateway has named once is its region: what it served stays where it was served.
create function gateway_served(gateway uuid, of_tenants text[], by_way text) returns void
language sql volatile security definer set search_path = public, pg_temp as $$
  insert into gateway_tenants (gateway_id, tenant_id, how)
  select gateway, t::uuid, by_way from unnest(of_tenants) t order by 1, 2
  on conflict (gateway_id, tenant_id, how) do update set last_at = now()
$$;

revoke execute on function gateway_seen(uuid, text, text, text, boolean), gateway_served(uuid, text[], text) from public;
