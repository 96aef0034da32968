import { createHash } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrateRoom } from '../../tiers/migrate/migrate-room.ts'
import type { AdminSql } from '../../tiers/pg/admin.ts'
import { type Lab, startLab } from './support/lab.ts'
import { partyOf, seed } from './support/world.ts'

const TENANT = `tenant_id uuid not null default nullif(current_setting('tenancy.tenant', true), '')::uuid`
const REFERENCES = ['countries']
const ROOM = 'app'

let lab: Lab
let sql: AdminSql
let count = 0
beforeAll(async () => {
  lab = await startLab({ isolations: ['shared'] })
  const { a, b } = lab.pairs.shared
  sql = lab.root(a.placement!.database)
  await seed(sql, partyOf(a, 'a'))
  await seed(sql, partyOf(b, 'b'))
})
afterAll(() => lab?.close())

function fileOf(text: string, name = `1${String(++count).padStart(3, '0')}_test.sql`) {
  return { name, text, checksum: createHash('sha256').update(text).digest('hex') }
}
const apply = (...texts: string[]) =>
  migrateRoom(sql, ROOM, { files: texts.map((t) => fileOf(t)), references: REFERENCES, app: 'innkeeper_app' })

/** Everything that a migration could change, and who may what. */
async function stateOf(): Promise<unknown> {
  const [row] = await sql`
    select (select jsonb_agg(c order by c->>0) from (select jsonb_build_array(relname, relkind, relrowsecurity, relforcerowsecurity, relacl::text, relowner) c
        from pg_class where relnamespace = 'app'::regnamespace) x) as classes,
      (select jsonb_agg(conname order by conname) from pg_constraint where connamespace = 'app'::regnamespace) as constraints,
      (select jsonb_agg(jsonb_build_array(proname, proowner, prosecdef, proacl::text) order by proname) from pg_proc where pronamespace = 'app'::regnamespace) as functions,
      (select jsonb_agg(polname order by polrelid, polname) from pg_policy) as policies,
      (select jsonb_agg(name order by name) from tenancy.migrations where room = 'app') as records`
  return row
}

const HIDDEN = `
  create function "{room}".asks(text, text) returns boolean language sql as $$ select exists (select from "{room}".customers where name = $1) $$;
  create operator "{room}".=== (leftarg = text, rightarg = text, function = "{room}".asks);`

const FAULTS: readonly (readonly [what: string, named: RegExp, text: string])[] = [
  ['a table without tenant_id', /^plain: has no tenant_id/, 'create table "{room}".plain (id int primary key)'],
  [
    'tenant_id that may be null',
    /loose: tenant_id is not/,
    'create table "{room}".loose (tenant_id uuid, id int, unique (tenant_id, id))',
  ],
  [
    'tenant_id of another type',
    /texts: tenant_id is not/,
    'create table "{room}".texts (tenant_id text not null, id int, primary key (tenant_id, id))',
  ],
  ['a table without a primary key', /keyless: has no primary key/, `create table "{room}".keyless (${TENANT}, id int)`],
  [
    'a primary key that does not begin with tenant_id',
    /turned_pkey: a unique/,
    `create table "{room}".turned (${TENANT}, id int, primary key (id, tenant_id))`,
  ],
  [
    'a unique constraint without tenant_id',
    /agents_name_alone: a unique/,
    'alter table "{room}".agents add constraint agents_name_alone unique (name)',
  ],
  [
    'a unique index without tenant_id',
    /tags_alone: a unique/,
    'create unique index tags_alone on "{room}".tags (name)',
  ],
  [
    'a unique index on an expression, without tenant_id',
    /tags_lower: a unique/,
    'create unique index tags_lower on "{room}".tags (lower(name))',
  ],
  [
    'a partial unique index without tenant_id',
    /tags_part: a unique/,
    'create unique index tags_part on "{room}".tags (name) where color is null',
  ],
  [
    'a unique index that only includes tenant_id',
    /tags_include: a unique/,
    'create unique index tags_include on "{room}".tags (name) include (tenant_id)',
  ],
  [
    'an exclusion constraint without tenant_id',
    /slots_alone: a unique/,
    'alter table "{room}".slots add constraint slots_alone exclude using btree (id with =)',
  ],
  [
    'an exclusion constraint that keeps tenants from each other',
    /spans_key: a unique/,
    `create table "{room}".spans (${TENANT}, id int, during tstzrange, primary key (tenant_id, id));
     alter table "{room}".spans add constraint spans_key exclude using gist (during with &&)`,
  ],
  [
    'an exclusion constraint that holds between tenants only',
    /hosts_key: an exclusion key whose tenant_id is not compared/,
    `create extension btree_gist;
     create table "{room}".hosts (${TENANT}, id int, name text, primary key (tenant_id, id),
       constraint hosts_key exclude using gist (name with =, tenant_id with <>))`,
  ],
  [
    'a foreign key without tenant_id',
    /notes\.notes_thing_fkey: a foreign key/,
    `create table "{room}".notes (${TENANT}, id int, thing uuid, primary key (tenant_id, id));
     create table "{room}".one (${TENANT}, primary key (tenant_id));
     alter table "{room}".notes add constraint notes_thing_fkey foreign key (thing) references "{room}".one (tenant_id)`,
  ],
  [
    'a foreign key whose tenant_id points at another column',
    /crossed\.crossed_fkey: a foreign key/,
    `create table "{room}".target (${TENANT}, other uuid not null, primary key (tenant_id, other));
     create table "{room}".crossed (${TENANT}, id int, other uuid, primary key (tenant_id, id),
       constraint crossed_fkey foreign key (other, tenant_id) references "{room}".target (tenant_id, other))`,
  ],
  [
    'ON DELETE SET NULL without columns',
    /tickets\.agent_null: ON DELETE SET NULL/,
    `alter table "{room}".tickets add constraint agent_null foreign key (tenant_id, agent_id) references "{room}".agents on delete set null`,
  ],
  [
    'ON DELETE SET DEFAULT of tenant_id',
    /tickets\.agent_default: ON DELETE SET/,
    `alter table "{room}".tickets add constraint agent_default foreign key (tenant_id, agent_id) references "{room}".agents on delete set default (tenant_id)`,
  ],
  [
    'ON UPDATE SET NULL',
    /tickets\.agent_update: ON UPDATE SET/,
    `alter table "{room}".tickets add constraint agent_update foreign key (tenant_id, agent_id) references "{room}".agents on update set null`,
  ],
  [
    'a foreign key out of the room',
    /outward\.outward_fkey: the foreign key points out/,
    `create schema elsewhere; create table elsewhere.target (tenant_id uuid, id int, primary key (tenant_id, id));
     create table "{room}".outward (${TENANT}, id int, primary key (tenant_id, id),
       constraint outward_fkey foreign key (tenant_id, id) references elsewhere.target (tenant_id, id))`,
  ],
  [
    'a permissive policy',
    /tags\.everyone: a permissive policy/,
    'create policy everyone on "{room}".tags using (true)',
  ],
  [
    'a serial column',
    /serials\.id: is filled by a sequence/,
    `create table "{room}".serials (${TENANT}, id serial, primary key (tenant_id, id))`,
  ],
  [
    'an identity that one tenant can use up',
    /small\.id: its numbers are few/,
    `create table "{room}".small (${TENANT}, id smallint generated by default as identity, primary key (tenant_id, id))`,
  ],
  [
    'an identity whose numbers come again',
    /again\.id: its numbers are few, or come again/,
    `create table "{room}".again (${TENANT}, id bigint generated by default as identity (cycle), primary key (tenant_id, id))`,
  ],
  ['a rule', /tags: has a rule/, 'create rule mine as on delete to "{room}".tags do also select 1'],
  [
    'an unlogged table',
    /quick: is unlogged/,
    `create unlogged table "{room}".quick (${TENANT}, id int, primary key (tenant_id, id))`,
  ],
  ['a materialised view', /stored: a materialised view/, 'create materialized view "{room}".stored as select 1 as one'],
  [
    'a view with its owner’s rights',
    /plain_view: a view without security_invoker/,
    'create view "{room}".plain_view as select name from "{room}".tags',
  ],
  [
    'a view whose security_invoker is off',
    /off_view: a view without/,
    'create view "{room}".off_view with (security_invoker = off) as select name from "{room}".tags',
  ],
  [
    'a function with its owner’s rights',
    /definer\(\): runs with its owner/,
    'create function "{room}".definer() returns int language sql security definer as $$ select 1 $$',
  ],
  [
    'a trigger function out of the room',
    /tags\.outside: the trigger's function is not in the room/,
    `create schema outside; create function outside.f() returns trigger language plpgsql as $$ begin return new; end $$;
     create trigger outside before insert on "{room}".tags for each row execute function outside.f()`,
  ],
  [
    'a table that another table inherits from and that is not protected',
    /parentless: has no tenant_id/,
    'create table "{room}".parentless (id int); create table "{room}".child () inherits ("{room}".parentless)',
  ],
  [
    'a table that inherits from a reference table, which all tenants read',
    /own_countries: inherits from a table without policies/,
    `create table "{room}".own_countries (${TENANT}, primary key (tenant_id, code)) inherits ("{room}".countries)`,
  ],
  [
    'a condition of a trigger that calls a function of the room',
    /tags\.conditional: its condition calls/,
    `create function "{room}".asks(text) returns boolean language sql as $$ select exists (select from "{room}".customers where name = $1) $$;
     create function "{room}".acts() returns trigger language plpgsql as $$ begin return old; end $$;
     create trigger conditional before delete on "{room}".tags for each row when ("{room}".asks(old.name)) execute function "{room}".acts()`,
  ],
  [
    'a check constraint that calls a function of the room',
    /things\.things_asks: calls a function/,
    `create function "{room}".asks(text) returns boolean language sql as $$ select exists (select from "{room}".customers where name = $1) $$;
     alter table "{room}".things add constraint things_asks check ("{room}".asks(label)) not valid`,
  ],
  [
    'a check constraint that calls a function of the room by an operator',
    /things\.things_hidden: calls a function/,
    `${HIDDEN}
     alter table "{room}".things add constraint things_hidden check (label operator("{room}".===) 'x') not valid`,
  ],
  [
    'a condition of a trigger that calls a function of the room by an operator',
    /tags\.hidden: its condition calls/,
    `${HIDDEN}
     create function "{room}".acts() returns trigger language plpgsql as $$ begin return old; end $$;
     create trigger hidden before delete on "{room}".tags for each row when (old.name operator("{room}".===) 'x') execute function "{room}".acts()`,
  ],
  [
    'a domain whose check calls a function of the room',
    /label\.label_check: calls a function/,
    `create function "{room}".asks(text) returns boolean language sql as $$ select exists (select from "{room}".customers where name = $1) $$;
     create domain "{room}".label as text check ("{room}".asks(value))`,
  ],
  [
    'ON DELETE SET DEFAULT of a column whose domain has a default that calls a function of the room',
    /jobs\.jobs_agent: SET DEFAULT calls/,
    `create function "{room}".last_agent() returns bigint language sql stable as $$ select max(id) from "{room}".agents $$;
     create domain "{room}".agent as bigint default "{room}".last_agent();
     create table "{room}".jobs (${TENANT}, id int, agent_id "{room}".agent, primary key (tenant_id, id),
       constraint jobs_agent foreign key (tenant_id, agent_id) references "{room}".agents on delete set default (agent_id))`,
  ],
  [
    'ON DELETE SET DEFAULT of a column whose default calls a function of the room',
    /jobs\.jobs_agent: SET DEFAULT calls/,
    `create function "{room}".last_agent() returns bigint language sql stable as $$ select max(id) from "{room}".agents $$;
     create table "{room}".jobs (${TENANT}, id int, agent_id bigint default "{room}".last_agent(), primary key (tenant_id, id),
       constraint jobs_agent foreign key (tenant_id, agent_id) references "{room}".agents on delete set default (agent_id))`,
  ],
]

describe('a migration is refused by name, and leaves nothing, that has', () => {
  test.for(FAULTS)('%s', async ([, named, text]) => {
    const before = await stateOf()
    const error = await apply(text).then(
      () => null,
      (e: Error & { code?: string; details?: string; hint?: string }) => e,
    )
    expect(await stateOf()).toEqual(before)
    expect(error).toMatchObject({ code: 'migration_refused' })
    expect(error!.details).toMatch(named)
    expect(error!.hint).toMatch(/\w/)
  })
})

test('a migration that ends its transaction is refused, and leaves nothing', async () => {
  const before = await stateOf()
  for (const end of ['commit', 'begin; commit', 'rollback', 'commit and chain', 'end', 'abort; begin']) {
    const text = `create policy everyone on "{room}".tags using (true); ${end}; select 1`
    await expect(apply(text), end).rejects.toMatchObject({
      code: 'migration_refused',
      message: expect.stringContaining('transaction'),
    })
    expect(await stateOf(), end).toEqual(before)
  }
})

test('a migration that makes a schema beside the room is refused: nothing there is protected', async () => {
  const before = await stateOf()
  for (const text of [
    'create schema reporting; create table reporting.sums (n int)',
    'do $$ begin create schema reporting; create view reporting.one as select 1 as n; exception when duplicate_schema then null; end $$',
    `create schema internal; create materialized view internal.stored as select tenant_id, name from "{room}".customers;
     create function internal.names() returns setof internal.stored language sql stable security definer as $$ select * from internal.stored $$;
     create view "{room}".names with (security_invoker = true) as select * from internal.names()`,
  ]) {
    await expect(apply(text)).rejects.toMatchObject({
      code: 'migration_refused',
      details: expect.stringMatching(/^(reporting|internal): /),
      hint: expect.stringContaining('room'),
    })
    expect(await stateOf()).toEqual(before)
  }
})

test('a migration may end with any statement, a comment, or have none', async () => {
  await apply(
    '',
    '-- nothing',
    `set local lock_timeout = '1s'; create table "{room}".taken as select 1 as x; drop table "{room}".taken -- gone`,
    `do $$ begin perform $q$ 'x'  $q$; end $$`,
  )
  const taken = `set local lock_timeout = '1s'; create table "{room}".taken as select 1 as x`
  await expect(apply(taken)).rejects.toMatchObject({ details: expect.stringContaining('taken: has no tenant_id') })
})

test('vacuum does not shut the pool to everyone to give space back, unless the product wants it to', async () => {
  const keys = `${TENANT}, id int, primary key (tenant_id, id)`
  await apply(
    `create table "{room}".kept (${keys}); create table "{room}".given (${keys}) with (vacuum_truncate = true)`,
  )
  const bytesAfter = async (table: string) => {
    await sql.unsafe(`insert into app.${table} select '${uuidv7()}', n from generate_series(1, 20000) n`)
    await sql.unsafe(`delete from app.${table}`)
    await sql.unsafe(`vacuum app.${table}`)
    const [row] = await sql.unsafe<{ bytes: number }[]>(`select pg_relation_size('app.${table}')::float8 as bytes`)
    return row!.bytes
  }
  expect(await bytesAfter('kept')).toBeGreaterThan(500_000)
  expect(await bytesAfter('given')).toBe(0)
})

test('all faults of a migration are told at once', async () => {
  const text = 'create table "{room}".one (id int); create table "{room}".two (id int)'
  await expect(apply(text)).rejects.toMatchObject({ details: expect.stringMatching(/one: .*; one: |one: .*two: /) })
})

test('what was applied cannot be changed afterwards', async () => {
  const name = '1900_changed.sql'
  const options = { references: REFERENCES, app: 'innkeeper_app' }
  await migrateRoom(sql, ROOM, { ...options, files: [fileOf('select 1', name)] })
  await expect(migrateRoom(sql, ROOM, { ...options, files: [fileOf('select 2', name)] })).rejects.toMatchObject({
    code: 'migration_refused',
    message: expect.stringContaining(name),
  })
})

test('good migrations pass: tables, keys, partitions, views, functions, procedures, triggers, a restrictive policy', async () => {
  await apply(
    `create table "{room}".orders (${TENANT}, id bigint generated by default as identity, country text references "{room}".countries on delete set null,
       agent_id bigint, state text, placed date not null, primary key (tenant_id, id, placed),
       constraint orders_agent foreign key (tenant_id, agent_id) references "{room}".agents on delete set null (agent_id)) partition by range (placed);
     create table "{room}".orders_2026 partition of "{room}".orders for values from ('2026-01-01') to ('2027-01-01');
     create unique index orders_state on "{room}".orders (tenant_id, placed, state) where state is not null;
     create policy only_open on "{room}".orders as restrictive using (state <> 'secret');
     create view "{room}".open_orders with (security_invoker) as select * from "{room}".orders where state = 'open';
     create function "{room}".order_count() returns bigint language sql stable as $$ select count(*) from "{room}".orders $$;
     create procedure "{room}".nothing() language sql as $$ select 1 $$;
     create function "{room}".stamp() returns trigger language plpgsql as $$ begin new.state := coalesce(new.state, 'open'); return new; end $$;
     create trigger stamp before insert on "{room}".orders for each row execute function "{room}".stamp()`,
  )
  const [rights] = await sql`select has_table_privilege('innkeeper_app', 'app.orders', 'insert') as parent,
    has_table_privilege('innkeeper_app', 'app.orders_2026', 'select') as partition,
    has_table_privilege('innkeeper_app', 'app.orders', 'truncate') as truncate,
    has_sequence_privilege('innkeeper_app', 'app.orders_id_seq', 'usage') as sequence,
    (select relforcerowsecurity from pg_class where oid = 'app.orders_2026'::regclass) as forced`
  expect({ ...rights }).toEqual({ parent: true, partition: false, truncate: false, sequence: false, forced: true })
})

test('a later migration may replace a trigger function, and it is protected again', async () => {
  await apply(`create or replace function "{room}".count_deleted() returns trigger language plpgsql as $$
    begin update counters set deleted = deleted + 2; return old; end $$`)
  const [row] = await sql`select proowner::regrole::text as owner, prosecdef as definer, proconfig::text as config,
    has_schema_privilege('innkeeper_trigger', 'app', 'create') as may_create from pg_proc where oid = 'app.count_deleted'::regproc`
  expect({ ...row }).toEqual({
    owner: 'innkeeper_trigger',
    definer: true,
    config: '{"search_path=app, pg_temp"}',
    may_create: false,
  })
})

test('a grant, a policy or a switch that a migration leaves behind does not stand', async () => {
  await apply(
    `grant truncate, references, trigger on "{room}".tags to innkeeper_app, public;
     grant update (name) on "{room}".countries to innkeeper_app;
     grant all on sequence "{room}".tags_id_seq to innkeeper_app;
     grant all on schema "{room}" to innkeeper_app, public;
     alter table "{room}".tags disable row level security, no force row level security;
     alter policy innkeeper_tenant on "{room}".tags using (true) with check (true)`,
  )
  const [row] = await sql`select relrowsecurity and relforcerowsecurity as forced, relacl::text as acl,
    (select pg_get_expr(polqual, polrelid) from pg_policy where polrelid = c.oid and polname = 'innkeeper_tenant') as policy,
    (select array_agg(polname::text || ' to ' || array_to_string(array(select r::regrole::text from unnest(polroles) r order by 1), ', ')
       order by polname) from pg_policy where polrelid = c.oid) as policies,
    has_column_privilege('innkeeper_app', 'app.countries', 'name', 'update') as update_reference,
    has_sequence_privilege('innkeeper_app', 'app.tags_id_seq', 'select') as sequence,
    has_schema_privilege('innkeeper_app', 'app', 'create') as may_create
    from pg_class c where oid = 'app.tags'::regclass`
  expect(row).toMatchObject({ forced: true, update_reference: false, sequence: false, may_create: false })
  expect(row!.policy).toContain('tenancy.tenant_id()')
  expect(row!.policies).toEqual([
    'innkeeper_mover to innkeeper_mover',
    'innkeeper_tenant to innkeeper_app, innkeeper_owner, innkeeper_trigger',
  ])
  expect(row!.acl).not.toMatch(/innkeeper_app=[a-z]*D/)
})

test('a backfill reaches the rows of all tenants, and they are shut off again', async () => {
  await apply(
    `alter table "{room}".customers add column shout text;
     update "{room}".customers set shout = upper(name);
     alter table "{room}".customers alter column shout set not null, alter column shout set default ''`,
  )
  const [row] =
    await sql`select count(*)::int as n, count(distinct tenant_id)::int as tenants from app.customers where shout = upper(name)`
  expect({ ...row }).toEqual({ n: 6, tenants: 2 })
  const [forced] = await sql`select bool_and(relforcerowsecurity) as forced from pg_class
    where relnamespace = 'app'::regnamespace and relkind in ('r', 'p') and relname <> 'countries'`
  expect(forced!.forced).toBe(true)
})

test('a new foreign key is validated against the rows of all tenants', async () => {
  const { b } = lab.pairs.shared
  await sql`update app.tickets set custom = '{"agent": 12345}' where tenant_id = ${b.id} and id = 200001`
  const add = `alter table "{room}".tickets add column second_agent bigint;
    update "{room}".tickets set second_agent = (custom->>'agent')::bigint;
    alter table "{room}".tickets add constraint second_fkey foreign key (tenant_id, second_agent) references "{room}".agents`
  await expect(apply(add)).rejects.toMatchObject({ code: '23503' })
  await sql`update app.tickets set custom = '{}' where tenant_id = ${b.id}`
  await apply(add)
  const [key] = await sql`select convalidated from pg_constraint where conname = 'second_fkey'`
  expect(key!.convalidated).toBe(true)
})

test('a migration that fails in its middle leaves nothing, and the next run goes on with it', async () => {
  const before = await stateOf()
  const good = fileOf(`create table "{room}".first_half (${TENANT}, id int, primary key (tenant_id, id))`)
  const bad = fileOf(`create table "{room}".second_half (${TENANT}, id int, primary key (tenant_id, id)); select 1/0`)
  const options = { references: REFERENCES, app: 'innkeeper_app' }
  await expect(migrateRoom(sql, ROOM, { ...options, files: [good, bad] })).rejects.toMatchObject({ code: '22012' })
  expect(await stateOf()).not.toEqual(before)
  const mended = { ...bad, text: bad.text.replace('1/0', '1') }
  expect(await migrateRoom(sql, ROOM, { ...options, files: [good, mended] })).toEqual([bad.name])
})

test('two runs on one room take turns', async () => {
  const file = fileOf(
    `create table "{room}".once (${TENANT}, id int, primary key (tenant_id, id)); select pg_sleep(0.2)`,
  )
  const options = { references: REFERENCES, app: 'innkeeper_app', files: [file] }
  const applied = await Promise.all([migrateRoom(sql, ROOM, options), migrateRoom(sql, ROOM, options)])
  expect(applied.flat()).toEqual([file.name])
})

test('a migration of one room does not wait for another room’s', async () => {
  const options = { references: REFERENCES, app: 'innkeeper_app' }
  const base = fileOf(
    `create table "{room}".t (${TENANT}, id int, at timestamptz default now(), primary key (tenant_id, id))`,
  )
  for (const room of ['r_one', 'r_two']) await migrateRoom(sql, room, { ...options, files: [base] })
  await sql.begin(async (tx) => {
    await tx.unsafe('lock table r_one.t in access exclusive mode')
    const file = fileOf(`alter table "{room}".t add column more int default 1`)
    expect(await migrateRoom(sql, 'r_two', { ...options, files: [file] })).toEqual([file.name])
  })
})
