-- Moves: what a tenant's change of placement is doing, who does it now, and what came of it. The rows of those that ended
-- stay, with their certificates.

create table moves (
  id uuid primary key,
  tenant_id uuid not null references tenants (id) on delete cascade,
  -- {placement, tier, region}
  origin jsonb not null,
  destination jsonb not null,
  state text not null,
  -- Raised by each takeover, here first and then at the source and the target, before the new runner does anything.
  generation bigint not null default 0,
  lease_owner text,
  lease_until timestamptz,
  -- What an operator asked for; the runner acts on it at the next edge.
  request text check (request in ('abort', 'rollback', 'complete')),
  progress jsonb not null default '{}',
  reason text,
  attempts int not null default 0,
  pause_ms double precision,
  asked_by text not null,
  watch_until timestamptz,
  certificate jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  ended_at timestamptz
);

-- One at a time per tenant.
create unique index moves_one_per_tenant on moves (tenant_id) where ended_at is null;
create index moves_open on moves (lease_until) where ended_at is null;
create index moves_tenant on moves (tenant_id, created_at desc);
