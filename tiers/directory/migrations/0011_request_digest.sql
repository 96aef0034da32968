-- What the request with the idempotency key asked for, as a SHA-256 digest: the tenant may be changed afterwards, and is still
-- what the same request made. Null where there was no key, and of tenants that are older than this column.
alter table tenants add column request_digest text;
