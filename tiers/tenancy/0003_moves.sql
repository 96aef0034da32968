-- What a data database holds for moves: which generation of which mover may touch a tenant here, and the notes of what
-- changed at the source since capture was switched on. Gateways know nothing of it.

-- One row at the source and one at the target, while a move lasts. A takeover raises the generation in both before it does
-- anything, and each data transaction of a mover holds its own generation's row FOR SHARE: so a mover that was thought
-- dead can neither read on nor write on.
create table tenancy.moves (
  id uuid primary key,
  tenant_id uuid not null unique,
  generation bigint not null check (generation > 0),
  since timestamptz not null default now()
);

-- At the target: how far the copy of each table is, written in the transaction that holds the rows. A row of its own each,
-- because tables are copied side by side and a transaction holds the move's row.
create table tenancy.move_tables (
  move uuid not null references tenancy.moves (id) on delete cascade,
  table_name text not null,
  -- The key of the last row that is here, column by column as text; null where the next chunk is the first.
  last text[],
  rows bigint not null default 0,
  bytes bigint not null default 0,
  is_done boolean not null default false,
  primary key (move, table_name)
);

-- Append-only and logged: a note that is lost is a row that is lost. The key is the row's primary key without the tenant.
-- A pass deletes exactly the notes that its snapshot shows it.
create table tenancy.notes (
  id bigint generated always as identity primary key,
  tenant_id uuid not null,
  table_name text not null,
  key jsonb not null
);
create index notes_tenant on tenancy.notes (tenant_id, table_name);

-- Empty while nobody is captured: what every written statement asks first costs one look at an empty index.
create index fence_captured on tenancy.fence (tenant_id) where capture;

-- Begins a mover's transaction: this move, this generation, or an error. The rows of its tenant are then open to the role
-- innkeeper_mover, and no others.
--
-- Errors: IK040 another mover has taken over, or the move is over.
create function tenancy.join_move(move uuid, at_generation bigint) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  tenant uuid;
begin
  select m.tenant_id into tenant from tenancy.moves m where m.id = move and m.generation = at_generation for share;
  if tenant is null then
    raise exception using errcode = 'IK040', message = 'this mover has been taken over';
  end if;
  perform set_config('tenancy.move', move::text, true);
  return tenant;
end $$;

-- The tenant that this transaction's mover moves; null for everyone else, so that the policy shows no row. Anybody can set
-- the setting, but the policy that reads it is for a role that only movers can take on.
create function tenancy.moving_tenant() returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select m.tenant_id from tenancy.moves m where m.id = nullif(current_setting('tenancy.move', true), '')::uuid
$$;

-- Changes the fence of a tenant that is served at this very epoch. To be called in a statement of its own after the lock.
--
-- Errors: IK041 the fence is at another epoch or missing: then whoever calls it has a wrong idea of where the tenant lives.
create function tenancy.set_fence(tenant uuid, at_epoch bigint, new_state text, new_capture boolean) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update tenancy.fence set state = coalesce(new_state, state), capture = coalesce(new_capture, capture), changed_at = now()
  where tenant_id = tenant and epoch = at_epoch;
  if not found then
    raise exception using errcode = 'IK041', message = 'the tenant is not served here at that epoch';
  end if;
end $$;

-- Notes the keys of what a statement inserted, changed or removed, for tenants that are being captured. Who those are is
-- read from the fence by each row's own tenant, not from a setting, which injected SQL could clear. It fires for foreign
-- keys' cascades and, being ENABLE ALWAYS, where other triggers are switched off.
--
-- The arguments are the columns of the primary key without tenant_id. An update notes the old key and the new one.
create function tenancy.capture() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  pairs text;
begin
  if not exists (select from tenancy.fence f where f.capture) then
    return null;
  end if;
  pairs := (select string_agg(format('%L, r.%I', k, k), ', ') from unnest(tg_argv) k);
  if tg_op <> 'INSERT' then
    execute format(
      'insert into tenancy.notes (tenant_id, table_name, key)
       select r.tenant_id, %L, jsonb_build_object(%s) from old_rows r
       join tenancy.fence f on f.tenant_id = r.tenant_id and f.capture', tg_table_name, pairs);
  end if;
  if tg_op <> 'DELETE' then
    execute format(
      'insert into tenancy.notes (tenant_id, table_name, key)
       select r.tenant_id, %L, jsonb_build_object(%s) from new_rows r
       join tenancy.fence f on f.tenant_id = r.tenant_id and f.capture', tg_table_name, pairs);
  end if;
  return null;
end $$;
