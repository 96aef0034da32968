-- The room that the tenant of this transaction has in this database, or null. Tenants with schemas of their own share a
-- database role, so row-level security by tenant alone would let one write rows of its own into another's schema.
--
-- Errors: as tenancy.tenant_id.
create function tenancy.own_room() returns text
language sql stable parallel restricted security definer set search_path = pg_catalog, pg_temp as $$
  select f.room from tenancy.fence f where f.tenant_id = (select tenancy.tenant_id())
$$;
