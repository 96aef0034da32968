-- What every data database holds beside the rooms: who may enter (keys), which epoch is served (fence), and the two
-- functions that stand at the door. Run once per database by the installer, as innkeeper_tenancy; versioned by file.

create table tenancy.ticket_keys (
  kid text primary key,
  -- The two padded halves of the HMAC key, 64 bytes each: what RFC 2104 calls K xor ipad and K xor opad.
  inner_pad bytea not null check (octet_length(inner_pad) = 64),
  outer_pad bytea not null check (octet_length(outer_pad) = 64),
  created_at timestamptz not null default now()
);

-- Made here and never leaves: contexts are minted and checked by this database alone.
create table tenancy.context_key (
  only_row boolean primary key default true check (only_row),
  inner_pad bytea not null check (octet_length(inner_pad) = 64),
  outer_pad bytea not null check (octet_length(outer_pad) = 64)
);

create function tenancy.pad(key bytea, with_byte int) returns bytea
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  block bytea := case when octet_length(key) > 64 then sha256(key) else key end;
begin
  block := block || decode(repeat('00', 64 - octet_length(block)), 'hex');
  for i in 0..63 loop
    block := set_byte(block, i, get_byte(block, i) # with_byte);
  end loop;
  return block;
end $$;

-- gen_random_uuid is the strong random source of core PostgreSQL; four of them are hashed into one key.
insert into tenancy.context_key (inner_pad, outer_pad)
select tenancy.pad(key, 54), tenancy.pad(key, 92)
from (
  select sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
             || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) as key
) made;

create table tenancy.fence (
  tenant_id uuid primary key,
  epoch bigint not null check (epoch > 0),
  -- `open` serves; `fenced` refuses: the tenant is being moved, or has left.
  state text not null check (state in ('open', 'fenced')),
  capture boolean not null default false,
  room text not null,
  changed_at timestamptz not null default now()
);

create table tenancy.migrations (
  room text not null,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now(),
  primary key (room, name)
);

-- Enters a tenant's room for the rest of this transaction. Sent as the first statement of every tenant transaction.
--
--   kid, mac   the ticket: HMAC-SHA256 under the gateway's key of everything below and this database's name
--   deadline   when the ticket ends, in ms since 1970, by the gateway's clock
--   options    `r` makes the transaction read-only; the isolation level's letter: c, r (repeatable read) or s
--   timeouts   of each statement, of a lock wait, of idleness between statements, in ms
--   claims     JSON of the user, or an empty string
--
-- Errors, one SQLSTATE each: IK001 not this epoch, IK002 fenced, IK003 a mover holds the lock, IK010 ticket forged,
-- IK011 ticket too old, IK012 a second tenant in one transaction, IK030 the connection is not clean.
create function tenancy.enter(
  kid text, mac bytea, tenant uuid, epoch bigint, deadline bigint, nonce uuid, read_only boolean, isolation text,
  statement_ms int, lock_ms int, idle_ms int, application text, claims text
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp as $$
declare
  ticket_inner bytea;
  ticket_outer bytea;
  context_inner bytea;
  context_outer bytea;
  fence_epoch bigint;
  fence_state text;
  fence_capture boolean;
  flags int;
  entered text := current_setting('tenancy.tenant', true);
begin
  select t.inner_pad, t.outer_pad, c.inner_pad, c.outer_pad
    into ticket_inner, ticket_outer, context_inner, context_outer
    from tenancy.ticket_keys t, tenancy.context_key c
   where t.kid = enter.kid and c.only_row;
  if not found then
    raise exception using errcode = 'IK010', message = 'the ticket names a key that this database does not have';
  end if;
  -- Both sides are hashed once more, so that the comparison's duration says nothing about the right value.
  if sha256(mac) is distinct from sha256(sha256(ticket_outer || sha256(ticket_inner
       || 'innkeeper-ticket-1'::bytea || uuid_send(tenant) || int8send(epoch) || int8send(deadline) || uuid_send(nonce)
       || case when read_only then '\x01'::bytea else '\x00'::bytea end
       || int4send(octet_length(isolation)) || convert_to(isolation, 'UTF8')
       || int4send(octet_length(current_database()::text)) || convert_to(current_database()::text, 'UTF8')
       || int4send(octet_length(claims)) || convert_to(claims, 'UTF8')))) then
    raise exception using errcode = 'IK010', message = 'the ticket is forged';
  end if;
  if deadline < extract(epoch from clock_timestamp()) * 1000 then
    raise exception using errcode = 'IK011', message = 'the ticket is too old',
      hint = 'Compare the clocks of the gateway and of the database server.';
  end if;
  if entered <> '' and entered <> tenant::text then
    raise exception using errcode = 'IK012', message = 'another tenant was entered in this transaction';
  end if;
  -- A default that an earlier statement left in the session decides a transaction's mode before RESET ALL is run.
  if current_setting('transaction_read_only') = 'on' or current_setting('transaction_isolation') <> isolation then
    raise exception using errcode = 'IK030', message = 'the connection is not clean';
  end if;

  -- Never queues: a request that waits here would hold its pool connection behind the mover.
  if not pg_try_advisory_xact_lock_shared(1229868619, uuid_hash(tenant)) then
    raise exception using errcode = 'IK003', message = 'the tenant is being moved';
  end if;
  -- A statement of its own after the lock, so that its snapshot sees what the mover committed before it let go.
  if isolation = 'read committed' then
    select f.epoch, f.state, f.capture into fence_epoch, fence_state, fence_capture
      from tenancy.fence f where f.tenant_id = tenant;
  else
    -- The snapshot is older than the lock here; the row lock fails with 40001 where the fence has changed since.
    select f.epoch, f.state, f.capture into fence_epoch, fence_state, fence_capture
      from tenancy.fence f where f.tenant_id = tenant for share;
  end if;
  if fence_epoch is distinct from epoch then
    raise exception using errcode = 'IK001', message = 'this database does not serve that epoch of the tenant';
  end if;
  if fence_state <> 'open' then
    raise exception using errcode = 'IK002', message = 'the tenant is fenced here';
  end if;

  flags := case when fence_capture then 1 else 0 end;
  perform
    set_config('tenancy.tenant', tenant::text, true),
    set_config('tenancy.context', epoch || '.' || flags || '.' || encode(sha256(context_outer || sha256(context_inner
      || 'innkeeper-context-1'::bytea || int4send(pg_backend_pid()) || timestamptz_send(transaction_timestamp())
      || uuid_send(tenant) || int8send(epoch) || int4send(flags) || convert_to(claims, 'UTF8'))), 'hex'), true),
    set_config('statement_timeout', statement_ms::text, true),
    set_config('application_name', application, true);
  if claims <> '' then
    perform set_config('request.jwt.claims', claims, true);
  end if;
  if idle_ms > 0 then
    perform
      set_config('lock_timeout', lock_ms::text, true),
      set_config('idle_in_transaction_session_timeout', idle_ms::text, true);
  end if;
  if read_only then
    perform set_config('transaction_read_only', 'on', true);
  end if;
end $$;

-- The tenant of this transaction, or an error: never an empty answer. Every policy calls it, as a scalar subselect, so
-- once per statement. Not parallel safe, because a worker has another process id than the one the context is bound to.
--
-- Errors: IK020 no tenant was entered, IK021 the context is not one that `enter` made for this transaction (or one of
-- class 22 where it cannot even be read: an exception block here would cost a subtransaction in every statement).
create function tenancy.tenant_id() returns uuid
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
  context text := current_setting('tenancy.context', true);
  tenant text := current_setting('tenancy.tenant', true);
  inner_half bytea;
  outer_half bytea;
begin
  if context is null or context = '' or tenant is null or tenant = '' then
    raise exception using errcode = 'IK020', message = 'no tenant was entered in this transaction',
      hint = 'Go through the tenant interface; there is no way to data around it.';
  end if;
  select c.inner_pad, c.outer_pad into inner_half, outer_half from tenancy.context_key c where c.only_row;
  if sha256(decode(split_part(context, '.', 3), 'hex')) is distinct from sha256(sha256(outer_half || sha256(inner_half
       || 'innkeeper-context-1'::bytea || int4send(pg_backend_pid()) || timestamptz_send(transaction_timestamp())
       || uuid_send(tenant::uuid) || int8send(split_part(context, '.', 1)::bigint)
       || int4send(split_part(context, '.', 2)::int)
       || convert_to(coalesce(current_setting('request.jwt.claims', true), ''), 'UTF8')))) then
    raise exception using errcode = 'IK021', message = 'the tenant context is not authentic';
  end if;
  return tenant::uuid;
end $$;

-- The user of this transaction as the gateway authenticated it, or null: unlike the setting `request.jwt.claims`, which
-- injected SQL could change, this fails when it was tampered with.
create function tenancy.claims() returns jsonb
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp
return case when tenancy.tenant_id() is not null
  then nullif(current_setting('request.jwt.claims', true), '')::jsonb end;
