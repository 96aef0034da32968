-- Which migrations a room has, as one short text: rooms with the same text have the same tables. Gateways ask for it to
-- know whether what they read of the catalogue still holds.
create function tenancy.room_version(wanted text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select md5(coalesce(string_agg(name || ':' || checksum, ',' order by name), '')) from tenancy.migrations where room = wanted
$$;
