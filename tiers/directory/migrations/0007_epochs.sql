-- Epochs are given out by one counter for all tenants, so that a data database can tell from the highest that it has seen
-- whether this database is an older copy of itself, restored from a backup: then it would give out epochs a second time.
-- An operator raises the incarnation after a restore; it is the high bits of every epoch, and so none comes again.
create sequence epochs maxvalue 4294967295 no cycle;
select setval('epochs', coalesce(max(epoch_last), 0) + 1, false) from tenants;

create table incarnation (
  only_row boolean primary key default true check (only_row),
  -- With the counter's 32 bits below it an epoch stays a whole number of JavaScript's.
  number bigint not null default 0 check (number between 0 and 1048575),
  since timestamptz not null default now()
);
insert into incarnation default values;

create function next_epoch() returns bigint language sql volatile as $$
  select (number << 32) + nextval('epochs') from incarnation
$$;

-- The highest that was given out.
create function last_epoch() returns bigint language sql volatile as $$
  select (number << 32) + case when is_called then last_value else last_value - 1 end from incarnation, epochs
$$;
