import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestSystem } from '../support/system.ts'
import { runIn } from './support/odd-rows.ts'
import { startTwoClusters, TIER_OF } from './support/two-clusters.ts'

const TENANT = `tenant_id uuid default nullif(current_setting('tenancy.tenant', true), '')::uuid not null`
/** As long as a name may be, and another only in its last letter. */
const LONG = ['a', 'b'].map((end) => `${'n'.repeat(62)}${end}`)
const MIGRATION = `
  create extension if not exists btree_gist schema "{room}";
  create table "{room}".spans (${TENANT}, id int, n int, at daterange not null, primary key (tenant_id, id),
    unique (tenant_id, n, at without overlaps));
  create table "{room}".within (${TENANT}, id int, n int, at daterange, primary key (tenant_id, id),
    constraint inside foreign key (tenant_id, n, period at) references "{room}".spans (tenant_id, n, period at));
  create index halves on "{room}".spans ((n / 2));
  alter index "{room}".halves alter column 1 set statistics 500;
  comment on index "{room}".halves is 'it''s half';
  comment on constraint inside on "{room}".within is 'within';
  create table "{room}".letters (${TENANT}, id int, h int, fits bool, primary key (tenant_id, id));
  create table "{room}".covering (${TENANT}, id int, title text, n int, primary key (tenant_id, id) include (title));
  create table "{room}".moments (${TENANT}, at timestamptz, n int, primary key (tenant_id, at));
  ${LONG.map((name) => `create table "{room}".${name} (${TENANT}, id int, primary key (tenant_id, id));`).join('\n')}`

let system: TestSystem
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'innkeeper-names-'))
  await writeFile(join(folder, '0001_names.sql'), MIGRATION)
  system = await startTwoClusters([{ slug: 'acme', tier: 'pro', region: 'us' }], { migrationsFolder: folder })
})
afterAll(async () => {
  await system?.close()
  await rm(folder, { recursive: true, force: true })
})

test('columns called as the mover’s own are, keys that include a null, moments written in two zones and names that differ in the last letter arrive as they were', async () => {
  const { moves } = system.control
  const run = runIn((await system.openTenants('us')).session('acme'))
  const dump = async () =>
    JSON.stringify([
      await run(`select id, h, fits from "{room}".letters`),
      await run(`select id, title, n from "{room}".covering order by id`),
      await run(`select at, n from "{room}".moments`),
      ...(await Promise.all(LONG.map((name) => run(`select id from "{room}".${name}`)))),
    ])
  await run(`insert into "{room}".letters (id, h) values (1, 1)`)
  await run(`insert into "{room}".covering (id, title, n) values (1, 'one', 1), (2, null, 1)`)
  await run(`insert into "{room}".moments (at, n) values ('2020-01-01Z', 1)`)
  for (const [i, name] of LONG.entries()) await run(`insert into "{room}".${name} (id) values (${i})`)
  let before = ''
  const change = async () => {
    await run(`update "{room}".letters set h = h + 1`)
    await run(`update "{room}".covering set n = n + 1`)
    await run(`update "{room}".moments set n = n + 1`)
    await run(
      `with zone as materialized (select set_config('TimeZone', 'Asia/Tokyo', true)) update "{room}".moments set n = n + 1 from zone`,
    )
    before = await dump()
  }
  // By a whole pass, and by what is brought under the fence.
  moves.run(async (point) => {
    if (point === 'state:catching_up' || point === 'before_fence') await change()
  })
  for (const isolation of ['database', 'shared', 'schema'] as const) {
    const { id } = await moves.start({ tenant: 'acme', tier: TIER_OF[isolation], by: 'test' })
    expect((await moves.reached(id, 'watching')).reason).toBeNull()
    expect(await dump()).toBe(before)
  }
})

test('keys WITHOUT OVERLAPS, foreign keys with a PERIOD, comments and targets of statistics are in the new room as in the old one', async () => {
  const { moves } = system.control
  const run = runIn((await system.openTenants('us')).session('acme'))
  await run(`insert into "{room}".spans (id, n, at) values (1, 1, '[2020-01-01,2021-01-01)')`)
  await run(`insert into "{room}".within (id, n, at) values (1, 1, '[2020-02-01,2020-03-01)')`)
  const { id } = await moves.start({ tenant: 'acme', tier: 'enterprise', by: 'test' })
  expect((await moves.reached(id, 'watching')).reason).toBeNull()
  const [row] = await run(`
    select obj_description('"{room}".halves'::regclass, 'pg_class') as index, a.attstattarget as target,
      (select obj_description(k.oid, 'pg_constraint') from pg_constraint k where k.conname = 'inside') as key,
      (select count(*)::int from pg_constraint k where k.connamespace = '"{room}"'::regnamespace and pg_get_constraintdef(k.oid) ~ 'OVERLAPS|PERIOD') as keys
    from pg_attribute a where a.attrelid = '"{room}".halves'::regclass`)
  expect(row).toEqual({ index: "it's half", target: 500, key: 'within', keys: 2 })
})
