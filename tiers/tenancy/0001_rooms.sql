-- What every data database holds beside the rooms: who may enter (keys), which epoch is served (fence), and the two
-- functions that stand at the door. Run once per database by the installer, as innkeeper_tenancy; versioned by file.

-- Made here and never leaves: contexts are minted and checked by this database alone. The two padded halves of an HMAC key,
-- 64 bytes each, are what RFC 2104 calls K xor ipad and K xor opad.
create table tenancy.context_key (
  only_row boolean primary key default true check (only_row),
  inner_pad bytea not null check (octet_length(inner_pad) = 64),
  outer_pad bytea not null check (octet_length(outer_pad) = 64)
);

-- The keys of the gateways' tickets, this database's own: a ticket for another database does not open this one.
create table tenancy.ticket_keys (
  kid text collate "C" primary key,
  inner_pad bytea not null check (octet_length(inner_pad) = 64),
  outer_pad bytea not null check (octet_length(outer_pad) = 64),
  -- The context key again, so that `enter` reads one row for both.
  context_inner bytea not null,
  context_outer bytea not null,
  created_at timestamptz not null default now()
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
--   ticket     lines: key id, tenant, epoch, deadline in s since 1970 by the gateway's clock, mode (`rw` or `ro`, a space,
--              the isolation level), nonce, and JSON of the user or nothing
--   mac        its HMAC-SHA256 under the gateway's key for this database
--   timeouts   of each statement, and of an interactive transaction: of a lock wait, of idleness between statements, in ms
--   application  the name that an interactive transaction shows to operators
--
-- Errors, one SQLSTATE each: IK001 not this epoch, IK002 fenced, IK003 a mover holds the lock, IK010 ticket forged,
-- IK011 ticket too old, IK012 a second tenant in one transaction, IK030 the connection is not clean.
--
-- Every expression here is set up anew in each transaction, which costs more than to compute it. So there are few: one
-- condition for all that must hold, and the reasons apart, after it.
create function tenancy.enter(
  ticket text, mac bytea, statement_ms text, lock_ms text default null, idle_ms text default null,
  application text default null
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp as $$
declare
  tenant text := split_part(ticket, e'\n', 2);
  mode text := split_part(ticket, e'\n', 5);
  claims text := split_part(ticket, e'\n', 7);
  -- Never queues: a request that waits here would hold its pool connection behind the mover. Taken before the ticket is
  -- looked at, since what is read next has to be read after it; a forged ticket's lock ends with its error.
  locked boolean := pg_try_advisory_xact_lock_shared(1229868619, uuid_hash(tenant::uuid));
  genuine boolean;
  door record;
  done text;
begin
  -- A statement of its own after the lock, so that its snapshot sees what the mover committed before it let go.
  select k.inner_pad, k.outer_pad, k.context_inner, k.context_outer, f.epoch, f.state,
         '.' || f.epoch || case when f.capture then '.1' else '.0' end as marks
    into door
    from tenancy.ticket_keys k left join tenancy.fence f on f.tenant_id = tenant::uuid
   where k.kid = split_part(ticket, e'\n', 1);

  -- Both sides are hashed once more, so that the comparison's duration says nothing about the right value.
  genuine := sha256(mac) = sha256(sha256(door.outer_pad || sha256(door.inner_pad || convert_to(ticket, 'UTF8'))));
  if genuine and locked and door.state = 'open' and door.epoch = split_part(ticket, e'\n', 3)::bigint
    and date_part('epoch', clock_timestamp()) < split_part(ticket, e'\n', 4)::float8
    and coalesce(current_setting('tenancy.tenant', true), '') in ('', tenant)
    -- A default that an earlier statement left in the session decides a transaction's mode before RESET ALL is run.
    and current_setting('transaction_read_only') = 'off'
    and current_setting('transaction_isolation') = substr(mode, 4)
  then
    -- An assignment, because PERFORM would run a query.
    done := set_config('tenancy.tenant', tenant, true)
      || set_config('tenancy.context', encode(sha256(door.context_outer || sha256(door.context_inner
           || int4send(pg_backend_pid()) || timestamptz_send(transaction_timestamp()) || int4send(octet_length(claims))
           || convert_to(claims || tenant || door.marks, 'UTF8'))), 'hex') || door.marks, true)
      || set_config('statement_timeout', statement_ms, true);
    if idle_ms is not null or claims <> '' or mode <> 'rw read committed' then
      done := set_config('request.jwt.claims', claims, true);
      if idle_ms is not null then
        done := set_config('lock_timeout', lock_ms, true)
          || set_config('idle_in_transaction_session_timeout', idle_ms, true)
          || set_config('application_name', application, true);
      end if;
      if substr(mode, 4) <> 'read committed' then
        -- The snapshot is older than the lock here; this fails with 40001 where the fence has changed since.
        perform from tenancy.fence f where f.tenant_id = tenant::uuid for share;
      end if;
      if substr(mode, 1, 2) = 'ro' then
        done := set_config('transaction_read_only', 'on', true);
      end if;
    end if;
    return;
  end if;

  if genuine is not true then
    raise exception using errcode = 'IK010', message = 'the ticket is forged';
  elsif date_part('epoch', clock_timestamp()) >= split_part(ticket, e'\n', 4)::float8 then
    raise exception using errcode = 'IK011', message = 'the ticket is too old',
      hint = 'Compare the clocks of the gateway and of the database server.';
  elsif coalesce(current_setting('tenancy.tenant', true), '') not in ('', tenant) then
    raise exception using errcode = 'IK012', message = 'another tenant was entered in this transaction';
  elsif current_setting('transaction_read_only') = 'on'
    or current_setting('transaction_isolation') <> substr(mode, 4) then
    raise exception using errcode = 'IK030', message = 'the connection is not clean';
  elsif not locked then
    raise exception using errcode = 'IK003', message = 'the tenant is being moved';
  elsif door.epoch is distinct from split_part(ticket, e'\n', 3)::bigint then
    raise exception using errcode = 'IK001', message = 'this database does not serve that epoch of the tenant';
  else
    raise exception using errcode = 'IK002', message = 'the tenant is fenced here';
  end if;
end $$;

-- The tenant of this transaction, or an error: never an empty answer. Every policy calls it, as a scalar subselect, so
-- once per statement. Not parallel safe, because a worker has another process id than the one the context is bound to.
-- The comparison may tell by its duration how much of a guess was right: the value is another in each transaction, and a
-- wrong guess ends the transaction.
--
-- Errors: IK020 no tenant was entered, IK021 the context is not one that `enter` made for this transaction (or one of
-- class 22 where it cannot even be read: an exception block here would cost a subtransaction in every statement).
create function tenancy.tenant_id() returns uuid
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
  tenant text := current_setting('tenancy.tenant', true);
  context text := current_setting('tenancy.context', true);
  claims text := coalesce(current_setting('request.jwt.claims', true), '');
  inner_half bytea;
  outer_half bytea;
begin
  select c.inner_pad, c.outer_pad into inner_half, outer_half from tenancy.context_key c;
  -- Unambiguous: the length of the claims stands before them, and only 36 of the characters after them are a uuid.
  if substr(context, 1, 64) = encode(sha256(outer_half || sha256(inner_half
       || int4send(pg_backend_pid()) || timestamptz_send(transaction_timestamp()) || int4send(octet_length(claims))
       || convert_to(claims || tenant || substr(context, 65), 'UTF8'))), 'hex') then
    return tenant::uuid;
  elsif tenant <> '' and context <> '' then
    raise exception using errcode = 'IK021', message = 'the tenant context is not authentic';
  end if;
  raise exception using errcode = 'IK020', message = 'no tenant was entered in this transaction',
    hint = 'Go through the tenant interface; there is no way to data around it.';
end $$;

-- The user of this transaction as the gateway authenticated it, or null: unlike the setting `request.jwt.claims`, which
-- injected SQL could change, this fails when it was tampered with.
create function tenancy.claims() returns jsonb
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp
return case when tenancy.tenant_id() is not null
  then nullif(current_setting('request.jwt.claims', true), '')::jsonb end;
