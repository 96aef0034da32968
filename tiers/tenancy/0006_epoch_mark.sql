-- The highest epoch that this database has heard of, also of attempts that were called off and of tenants that have left. A
-- control database whose counter is behind it is an older copy.
create table tenancy.epoch_mark (
  only_row boolean primary key default true check (only_row),
  epoch bigint not null
);
insert into tenancy.epoch_mark (epoch) select coalesce(max(epoch), 0) from tenancy.fence;

create function tenancy.raise_mark(heard bigint) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  update tenancy.epoch_mark set epoch = heard where epoch < heard
$$;

create function tenancy.fence_raises_mark() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform tenancy.raise_mark(new.epoch);
  return null;
end $$;
create trigger fence_raises_mark after insert or update of epoch on tenancy.fence
  for each row execute function tenancy.fence_raises_mark();
