-- What a gateway of another region does with a tenant's requests; null for what its tier says.
alter table tenants add column away text check (away in ('forward', 'redirect', 'reject'));
