-- Whether this transaction is a mover's, which puts in rows that have been through the application's triggers at the source.
-- Every trigger of the application's asks it, in its WHEN. The setting alone could be made by anybody; nobody who connects as
-- the gateways' role, whatever SQL it sends, is a member of the movers' role. A plain expression, so that the server takes it
-- into the condition and calls no function for each row.
create function tenancy.applying() returns boolean
language sql stable parallel restricted
return coalesce(current_setting('tenancy.move', true), '') <> '' and pg_has_role(session_user, 'innkeeper_mover', 'member');
