import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ServerFacts, skewFaults, versionFaults } from '../../tiers/move/preflight-servers.ts'
import { MIGRATION_LOCK } from '../../tiers/move/store.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { QUICK } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTestSystem({
    regions: ['us', 'eu'],
    tenants: [
      { slug: 'acme', tier: 'free', region: 'us' },
      { slug: 'hooli', tier: 'pro', region: 'us' },
    ],
    moveSettings: QUICK,
    settings: { max_connections: 70 },
    configure(input) {
      const { us, eu } = input.regions
      const clusters = { 'us-1': us!.clusters['us-1']!, 'us-2': { ...eu!.clusters['eu-1']!, capacityBytes: 2 ** 40 } }
      return { ...input, regions: { us: { ...us!, clusters } }, residency: { profiles: {} } }
    },
  })
})
afterAll(() => system?.close())

const pool = (cluster = 'us-1') => system.control.makerOf(cluster).admin('innkeeper_shared')
const { plan } = {
  plan: (tenant: string, tier: string, cluster: string) => system.control.moves.plan({ tenant, tier, cluster }),
}
/** What stops it, as one text; and that a move is refused for the same, with nothing begun. */
async function stops(tenant = 'acme', tier = 'pro', cluster = 'us-2'): Promise<string> {
  const text = (await plan(tenant, tier, cluster)).refusals.map((r) => `${r.object}: ${r.fault}`).join('; ')
  const begun = system.control.moves.start({ tenant, tier, cluster, by: 'test' })
  await expect(begun).rejects.toMatchObject({ code: 'conflict' })
  expect(await system.control.moves.list()).toEqual([])
  return text
}
/** Makes something wrong for as long as the work lasts. */
async function with_(make: string, unmake: string, work: () => Promise<void>, sql = pool()) {
  await sql.unsafe(make)
  try {
    await work()
  } finally {
    await sql.unsafe(unmake)
  }
}

test('where nothing is wrong nothing stops it, and the plan says tables, rows and bytes', async () => {
  const session = (await system.openTenants('us')).session('acme')
  await session.execute({ text: `insert into "{room}".tags (name) values ('a'), ('b')`, params: [] })
  const { refusals, tables, rows, bytes, etaMs, notes } = await plan('acme', 'pro', 'us-2')
  expect({ refusals, rows, notes }).toEqual({ refusals: [], rows: 2, notes: [] })
  expect(tables.find((t) => t.name === 'tags')).toMatchObject({ rows: 2 })
  expect(bytes).toBeGreaterThan(0)
  expect(etaMs).toBeGreaterThan(0)
  expect((await plan('acme', 'pro', 'us-1')).notes).toEqual([expect.stringContaining('capacityBytes')])
})

describe('refused by name before anything is copied:', () => {
  test('a table without a primary key', () =>
    with_('create table app.keyless (tenant_id uuid not null)', 'drop table app.keyless', async () => {
      expect(await stops()).toContain('keyless: has no primary key')
    }))

  test('a foreign key out of the tenant’s rows', () =>
    with_(
      `create table public.outside (id int primary key);
       create table app.far (tenant_id uuid not null, id int references public.outside, primary key (tenant_id, id))`,
      'drop table app.far; drop table public.outside',
      async () => {
        expect(await stops()).toContain('far_id_fkey: the foreign key points out of the room')
      },
    ))

  test('unlogged and partitioned tables, and one whose changes nobody notes', () =>
    with_(
      `create unlogged table app.gone (tenant_id uuid not null, id int, primary key (tenant_id, id));
       create table app.parts (tenant_id uuid not null, id int, primary key (tenant_id, id)) partition by hash (tenant_id)`,
      'drop table app.gone; drop table app.parts',
      async () => {
        const text = await stops()
        expect(text).toContain('gone: is unlogged')
        expect(text).toContain('gone: has no capture triggers')
        expect(text).toContain('parts: is partitioned')
      },
    ))

  test('tables that inherit: a row would be there twice', () =>
    with_(
      `create table app.above (tenant_id uuid not null, id int, primary key (tenant_id, id));
       create table app.below (primary key (tenant_id, id)) inherits (app.above)`,
      'drop table app.below, app.above',
      async () => {
        const text = await stops()
        expect(text).toContain('above: inherits, or is inherited from')
        expect(text).toContain('below: inherits, or is inherited from')
      },
    ))

  test('a key whose text depends on the session that changes the row, also where its type is the application’s own', () =>
    with_(
      `create domain app.score as float8; create domain app.high as app.score; create type app.days as range (subtype = date);
       create domain app.code as varchar(5); create type app.mood as enum ('calm');
       create table app.plain (tenant_id uuid not null, id float8, primary key (tenant_id, id));
       create table app.domains (tenant_id uuid not null, id app.high, primary key (tenant_id, id));
       create table app.ranges (tenant_id uuid not null, id app.days, primary key (tenant_id, id));
       create table app.exact (tenant_id uuid not null, a app.code, b app.mood, c numeric(5, 2), d char(3), e timestamptz(3),
         primary key (tenant_id, a, b, c, d, e))`,
      `drop table app.plain, app.domains, app.ranges, app.exact; drop type app.mood, app.days; drop domain app.code, app.high, app.score`,
      async () => {
        const text = await stops()
        expect(text).toContain('plain.id: a key of type double precision cannot be noted exactly')
        expect(text).toContain('domains.id: a key of type app.high cannot be noted exactly')
        expect(text).toContain('ranges.id: a key of type app.days cannot be noted exactly')
        expect(text).not.toContain('exact.')
      },
    ))

  test('a key that is an array or a composite, or takes different texts for the same', () =>
    with_(
      `create type app.pair as (a int, b text); create type app.mood as enum ('calm');
       create collation app.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
       create table app.pairs (tenant_id uuid not null, id app.pair, primary key (tenant_id, id));
       create table app.arrays (tenant_id uuid not null, a app.mood[], b numeric(3)[], primary key (tenant_id, b, a));
       create table app.loosely (tenant_id uuid not null, id text collate app.loose, primary key (tenant_id, id));
       create table app.covers (tenant_id uuid not null, id int, f float8, primary key (tenant_id, id) include (f))`,
      'drop table app.pairs, app.arrays, app.loosely, app.covers; drop collation app.loose; drop type app.mood, app.pair',
      async () => {
        const text = await stops()
        expect(text).toContain('pairs.id: a key of type app.pair cannot be noted exactly')
        expect(text).toMatch(/arrays.b: a key of type numeric\(3,0\)\[] cannot be noted exactly/)
        expect(text).toContain('loosely.id: a key under loose cannot be noted exactly')
        expect(text).not.toContain('covers.')
      },
    ))

  test('rows that are older than a rule which nobody held against them', async () => {
    const { id } = await system.control.tenant('acme')
    const rows = async () => {
      const text = await stops()
      expect(text).toContain('rules.positive: is NOT VALID, and rows of the tenant break it')
      expect(text).toContain('rules.named: is NOT VALID, and rows of the tenant break it')
      expect(text).not.toContain('rules.even')
      expect(text).toContain('rules.s: is of a domain whose constraint small is NOT VALID')
    }
    await with_(
      `create domain app.few as int;
       create table app.rules (tenant_id uuid not null, id int, n int, name text, s app.few[], primary key (tenant_id, id));
       grant select on app.rules to innkeeper_mover;
       insert into app.rules values ('${id}', 1, -2, null);
       alter table app.rules add constraint positive check (n > 0) not valid, add constraint even check (n % 2 = 0) not valid,
         add constraint named not null name not valid;
       alter domain app.few add constraint small check (value < 9) not valid`,
      'drop table app.rules; drop domain app.few',
      rows,
    )
  })

  test('ids that do not only rise, and a type that cannot be copied', () =>
    with_(
      `create table app.falls (tenant_id uuid not null, id int generated always as identity (increment -1), primary key (tenant_id, id));
       create table app.turns (tenant_id uuid not null, id int generated always as identity (maxvalue 9 cycle), a aclitem[], primary key (tenant_id, id))`,
      'drop table app.falls, app.turns',
      async () => {
        const text = await stops()
        expect(text).toContain('falls_id_seq: counts down')
        expect(text).toContain('turns_id_seq: counts in a cycle')
        expect(text).toContain('turns.a: is of type aclitem[], which has no binary form')
      },
    ))

  test('a deferrable key, on the way into the pool, or where a view leans on the table', () =>
    with_(
      'create table app.places (tenant_id uuid not null, id int, n int, primary key (tenant_id, id), constraint place unique (tenant_id, n) deferrable)',
      'drop table app.places',
      async () => {
        expect(await stops('acme', 'free', 'us-2')).toContain('places.place: is a deferrable key')
        const refusals = (await plan('acme', 'pro', 'us-2')).refusals.map((r) => r.fault)
        expect(refusals.some((fault) => fault.includes('deferrable'))).toBe(false)
        const make =
          'create view app.each with (security_invoker = true) as select id, n from app.places group by tenant_id, id'
        await with_(make, 'drop view app.each', async () => {
          expect(await stops()).toContain('places.place: is a deferrable key, and a view leans on')
        })
      },
    ))

  test('ids ahead of their sequence, which others’ draws in the pool would collide with, and a sequence that is half used', async () => {
    const session = (await system.openTenants('us')).session('hooli')
    const run = (text: string) => session.execute({ text, params: [] })
    const { schema } = (await system.control.tenant('hooli')).placement!
    const schemas = system.control.makerOf('us-1').admin('innkeeper_schemas')
    await run(`insert into "{room}".tags (id, name) values (9000, 'ahead')`)
    expect(await stops('hooli', 'free', 'us-2')).toContain('tags.id: holds the id 9000, ahead of its sequence at 1')
    // In a room of its own it is nobody else's matter.
    expect((await plan('hooli', 'enterprise', 'us-2')).refusals).toEqual([])
    const { name } = (await schemas`select pg_get_serial_sequence(${`"${schema}".tags`}, 'id') as name`)[0]!
    await schemas`select setval(${name}::regclass, ${(2n ** 62n + 1n).toString()}::bigint)`
    expect(await stops('hooli', 'free', 'us-2')).toContain('has used more than half of its numbers')
    await schemas`select setval(${name}::regclass, 9000)`
    expect((await plan('hooli', 'free', 'us-2')).refusals).toEqual([])
  })

  test('a cluster without the space', async () => {
    const { config } = system
    const cluster = config.regions.get('us')!.secrets!.clusters.get('us-2')! as { capacityBytes?: number }
    cluster.capacityBytes = 1
    expect(await stops()).toMatch(/cluster us-2: has 0 MB left of its capacityBytes, and the tenant needs about \d+ MB/)
    cluster.capacityBytes = 2 ** 40
  })

  test('a server without the connections', async () => {
    const [row] = await pool('us-2')<{ free: number }[]>`
      select current_setting('max_connections')::int - count(*)::int as free from pg_stat_activity where backend_type = 'client backend'`
    const connectionString = system.servers.get('eu')!.server.url('postgres')
    const crowd = Array.from({ length: row!.free - 5 }, () => new pg.Client({ connectionString }))
    try {
      await Promise.all(crowd.map((c) => c.connect()))
      expect(await stops()).toMatch(/cluster us-2: only \d connections are free, and a move needs 8/)
    } finally {
      await Promise.all(crowd.map((c) => c.end()))
    }
  })

  test('an extension that is not there, or of another version', () =>
    with_(
      'create extension citext; alter table app.tags add column nick public.citext',
      'alter table app.tags drop column nick; drop extension citext',
      async () => {
        expect(await stops('acme', 'free', 'us-2')).toMatch(/extension citext: the target has none, not \d/)
        await with_(`update pg_extension set extversion = '0.9' where extname = 'citext'`, 'select', async () => {
          expect(await stops('acme', 'pro', 'us-2')).toMatch(
            /extension citext: the target has version [\d., ]+, not 0.9/,
          )
        })
      },
    ))

  test('an unfinished migration, at either end', async () => {
    const break_ = `update tenancy.migrations set checksum = 'x' || checksum where room = 'app'`
    const mend = `update tenancy.migrations set checksum = substr(checksum, 2) where room = 'app'`
    await with_(break_, mend, async () => {
      expect(await stops()).toContain('0001_help_desk.sql: the source room and the migrations folder differ about it')
    })
    await with_(
      break_,
      mend,
      async () => {
        expect(await stops('acme', 'free', 'us-2')).toContain(
          'the target room and the migrations folder differ about it',
        )
      },
      pool('us-2'),
    )
  })

  test('a table that is not the same at both ends', () =>
    with_('alter table app.tags add column extra int', 'alter table app.tags drop column extra', async () => {
      expect(await stops('acme', 'free', 'us-2')).toContain('tags: is not the same table on both sides')
    }))

  test('what another time has left at the target', async () => {
    const { id } = await system.control.tenant('acme')
    const make = `insert into tenancy.fence (tenant_id, epoch, state, room) values ('${id}', 1, 'fenced', 'app')`
    const work = async () =>
      expect(await stops('acme', 'free', 'us-2')).toContain('target: holds something of this tenant')
    await with_(make, `delete from tenancy.fence where tenant_id = '${id}'`, work as () => Promise<never>, pool('us-2'))
  })

  test('a fleet migration that is running', async () => {
    const control = new pg.Client({ connectionString: system.config.controlUrl })
    await control.connect()
    await control.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    expect(await stops()).toContain('fleet: a migration is running')
    await control.end()
  })

  const facts: ServerFacts = {
    major: 18,
    encoding: 'UTF8',
    provider: 'i',
    locale: 'C.UTF-8 C.UTF-8 und',
    collationVersion: '153.128',
  }
  test.each([
    ['an older server', { major: 17 }, /PostgreSQL 17 is older than the source's 18/],
    ['another encoding', { encoding: 'LATIN1' }, /its encoding is LATIN1, not UTF8/],
    ['another locale', { locale: 'de_DE' }, /it sorts text by de_DE \(i\), not C.UTF-8/],
    ['another library', { provider: 'c' }, /it sorts text by .* \(c\), not .* \(i\)/],
    [
      'another version of the library',
      { collationVersion: '153.14' },
      /is of version 153.14 at the target, not 153.128/,
    ],
  ])('%s at the target', (_name, other, named) => {
    const [fault, ...more] = skewFaults(facts, { ...facts, ...other }, 'refuse')
    expect(`${fault?.object}: ${fault?.fault}`).toMatch(named)
    expect(more).toEqual([])
    expect(skewFaults(facts, facts, 'refuse')).toEqual([])
  })

  test('a collation of a column that the target has in another version, or not', () => {
    const used = [{ name: 'de-x-icu', version: '153.128' }]
    expect(versionFaults(used, used)).toEqual([])
    expect(versionFaults(used, [{ name: 'de-x-icu', version: '153.14' }])[0]!.fault).toMatch(
      /version 153.14 .* not 153.128/,
    )
    expect(versionFaults(used, [])[0]!.fault).toMatch(/version none/)
  })
})

test('an operator may accept another version of what sorts, and nothing else', () => {
  const facts: ServerFacts = { major: 18, encoding: 'UTF8', provider: 'c', locale: 'en_US', collationVersion: '2.36' }
  expect(skewFaults(facts, { ...facts, collationVersion: '2.41' }, 'accept')).toEqual([])
  expect(skewFaults(facts, { ...facts, locale: 'de_DE' }, 'accept')).toHaveLength(1)
})

test('a fleet migration during a move is refused, and says whose', async () => {
  const { moves } = system.control
  let goOn = () => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const runner = moves.run(async (point) => {
    if (point === 'state:copying') await held
  })
  const { id, tenantId } = await moves.start({ tenant: 'acme', tier: 'pro', cluster: 'us-2', by: 'test' })
  await moves.reached(id, 'copying')
  await expect(system.control.migrate()).rejects.toMatchObject({
    code: 'conflict',
    details: `${tenantId} is copying, move ${id}`,
  })
  expect((await plan('acme', 'free', 'us-2')).refusals).toContainEqual(
    expect.objectContaining({ object: 'tenant', fault: `it is being moved already: move ${id} is copying` }),
  )
  goOn()
  await moves.reached(id, 'watching')
  expect((await plan('acme', 'enterprise', 'us-2')).notes).toContainEqual(expect.stringContaining('is completed first'))
  await runner.close()
})

test('a tenant that writes while it is looked at has no id ahead of its sequence', async () => {
  const session = (await system.openTenants('us')).session('hooli')
  let stopped = false
  const writing = Array.from({ length: 4 }, async () => {
    while (!stopped)
      await session.execute({ text: `insert into "{room}".tags (name) values (gen_random_uuid()::text)`, params: [] })
  })
  for (let i = 0; i < 10; i++) expect((await plan('hooli', 'free', 'us-2')).refusals).toEqual([])
  stopped = true
  await Promise.all(writing)
})
