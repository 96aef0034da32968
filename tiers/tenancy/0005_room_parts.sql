-- What a room is without for the time being, because a move loads it or keeps it up: keys and indexes, which are made more
-- quickly when the rows are there; foreign keys and triggers, which have had their say at the source. Each row is one thing
-- that was taken away, with the statement that puts it back, and goes in the transaction that has put it back. So a room
-- that has no rows here is whole, and a mover that comes after a killed one knows what is missing.
--
-- A room with rows here takes no migration.
create table tenancy.room_parts (
  room text not null,
  phase text not null check (phase in ('key', 'index', 'capture', 'reference', 'trigger', 'validation', 'force')),
  table_name text not null,
  name text not null,
  statement text not null,
  primary key (room, phase, table_name, name)
);
