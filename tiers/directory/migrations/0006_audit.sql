-- Who may use the admin API, and what was done by it.

create table operators (
  id uuid primary key,
  name text not null check (name ~ '^[a-z][a-z0-9._@-]{0,62}$'),
  role text not null check (role in ('viewer', 'support', 'sales', 'compliance', 'admin')),
  -- SHA-256 of a token of 256 random bits: there is nothing to guess.
  token_hash bytea not null unique check (octet_length(token_hash) = 32),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
create unique index operators_name on operators (name) where revoked_at is null;

-- Append-only. Each entry's hash covers the one before it, so that an entry that is changed, taken out or put in between is
-- found by whoever computes the chain again. `entry` is json and not jsonb: it stays letter for letter what was hashed.
create table audit_log (
  seq bigint primary key,
  at timestamptz not null,
  entry json not null,
  previous text not null,
  hash text not null,
  action text generated always as (entry ->> 'action') stored,
  actor text generated always as (entry ->> 'actor') stored,
  tenant_id uuid generated always as ((entry ->> 'tenantId')::uuid) stored
);
create index audit_log_tenant on audit_log (tenant_id, seq) where tenant_id is not null;

create function audit_chained() returns trigger language plpgsql as $$
declare
  last audit_log;
begin
  -- Writers take turns up to their commit: each hashes what the one before it has committed. Always the last lock of a
  -- transaction, so that no two wait for each other.
  perform pg_advisory_xact_lock(1229868640);
  select * into last from audit_log order by seq desc limit 1;
  new.seq := coalesce(last.seq, 0) + 1;
  new.at := clock_timestamp();
  new.previous := coalesce(last.hash, repeat('0', 64));
  new.hash := encode(sha256(convert_to(concat_ws(e'\n', new.previous, new.seq,
    to_char(new.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), new.entry::text), 'UTF8')), 'hex');
  return new;
end $$;
create trigger audit_chained before insert on audit_log for each row execute function audit_chained();

create function audit_kept() returns trigger language plpgsql as $$
begin
  raise exception using errcode = 'IK052', message = 'the audit log is append-only';
end $$;
create trigger audit_kept before update or delete on audit_log for each row execute function audit_kept();
create trigger audit_whole before truncate on audit_log for each statement execute function audit_kept();
