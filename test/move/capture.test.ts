import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { captureChanges } from '../../tiers/migrate/capture.ts'
import type { AdminSql } from '../../tiers/pg/admin.ts'
import { quoteIdent } from '../../tiers/quote.ts'
import { OWNER } from '../../tiers/tenancy/roles.ts'
import type { TenantId } from '../../tiers/types.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'
import { fillOdd, ODD_MIGRATIONS, runIn } from './support/odd-rows.ts'

let system: TestSystem
let run: ReturnType<typeof runIn>
let acme: TenantId
beforeAll(async () => {
  const tenants = [
    { slug: 'acme', tier: 'free', region: 'us' },
    { slug: 'other', tier: 'free', region: 'us' },
  ] as const
  system = await startTestSystem({ tenants, migrationsFolder: ODD_MIGRATIONS })
  acme = (await system.control.tenant('acme')).id
  const opened = await system.openTenants('us')
  await fillOdd(opened.session('acme'))
  run = runIn(opened.session('acme'))
  await capture(true)
  await runIn(opened.session('other'))(`insert into "{room}".only_key values (default, 'not captured')`)
  expect(await notes()).toEqual([])
})
afterAll(() => system?.close())
beforeEach(() => sql()`delete from tenancy.notes`)

const sql = () => system.control.makerOf('us-1').admin('innkeeper_shared')
const capture = (on: boolean) => sql()`update tenancy.fence set capture = ${on} where tenant_id = ${acme}`
async function notes(): Promise<string[]> {
  const rows = await sql()<{ note: string }[]>`
    select table_name || ' ' || key::text as note from tenancy.notes where tenant_id = ${acme} order by id`
  return rows.map((r) => r.note)
}

test('an insert, a change and a removal are noted by key, and so is a key that comes again', async () => {
  await run(`insert into "{room}".only_key values (default, 'new')`)
  await run(`delete from "{room}".only_key where name = 'new'`)
  await run(`insert into "{room}".only_key values (default, 'new')`)
  expect(await notes()).toEqual(Array(3).fill('only_key {"name": "new"}'))
})

test('a changed key is noted as it was and as it is, also where a foreign key changes it', async () => {
  await run(`update "{room}".nodes set number = 9 where area = 'Z'`)
  const noted = await notes()
  expect(noted).toContain('nodes {"area": "Z", "number": 1}')
  expect(noted).toContain('nodes {"area": "Z", "number": 9}')
  // The child that the cascade changed, and the leaf that points at it.
  expect(noted).toContain('nodes {"area": "z", "number": 1}')
  expect(noted.some((n) => n.startsWith('leaves'))).toBe(true)
  await run(`update "{room}".nodes set number = 1 where area = 'Z'`)
})

test('rows that a cascade removes are noted', async () => {
  await run(`delete from "{room}".nodes where area = 'Z'`)
  const noted = await notes()
  expect(noted).toContain('nodes {"area": "z", "number": 1}')
  expect(noted.filter((n) => n.startsWith('leaves')).length).toBeGreaterThan(1)
})

test('ON CONFLICT is noted whichever way it goes', async () => {
  await run(
    `insert into "{room}".settings (theme) values ('light') on conflict (tenant_id) do update set theme = excluded.theme`,
  )
  expect(await notes()).toContain('settings {}')
})

test('what is rolled back leaves no note', async () => {
  await expect(
    run(`insert into "{room}".nodes (area, number, rank) values ('q', 1, 77), ('q', 2, 77)`),
  ).rejects.toThrow()
  expect(await notes()).toEqual([])
})

test('a tenant can neither empty a table, nor switch capture off, nor touch the notes', async () => {
  for (const attack of [
    `with x as (select set_config('session_replication_role', 'replica', true)) select * from x`,
    `with x as (delete from tenancy.notes returning 1) select * from x`,
    `with x as (update tenancy.fence set capture = false returning 1) select * from x`,
    `select tenancy.set_fence('${'0'.repeat(8)}-0000-0000-0000-000000000000', 1, 'open', false)`,
    `select tenancy.join_move('${'0'.repeat(8)}-0000-0000-0000-000000000000', 1)`,
    `select tenancy.capture_function(array['id'])`,
  ]) {
    await expect(run(attack), attack).rejects.toThrow(/permission denied/)
  }
  await expect(run(`truncate "{room}".only_key`)).rejects.toThrow()
  await run(
    `select set_config('tenancy.context', tenancy_context, true) from (select current_setting('tenancy.context') as tenancy_context) c`,
  )
  await run(`insert into "{room}".only_key values (default, 'still')`)
  expect(await notes()).toEqual(['only_key {"name": "still"}'])
})

test('the mover’s setting shows a tenant nothing', async () => {
  const [row] =
    await run(`with s as materialized (select set_config('tenancy.move', gen_random_uuid()::text, true) as x)
    select count(*)::int as n from "{room}".only_key, s where tenant_id <> tenancy.tenant_id()`)
  expect(row!.n).toBe(0)
})

test('a change that leaves the key alone is noted once, of each row', async () => {
  await run(`insert into "{room}".only_key values (default, 'one'), (default, 'two')`)
  await sql()`delete from tenancy.notes`
  await run(`update "{room}".only_key set name = name where name in ('one', 'two')`)
  expect((await notes()).sort()).toEqual(['only_key {"name": "one"}', 'only_key {"name": "two"}'])
})

test('a key whose columns have names that look like SQL, or are our own, is noted, also after its table was altered', async () => {
  const names = [`it's "so"`, '%s', '$body$', `'); drop table tenancy.notes; --`, 'r', 'captured', 'tg_table_name']
  const columns = names.map(quoteIdent)
  await sql().begin(async (tx) => {
    await tx.unsafe(`set local role ${OWNER}`)
    await tx.unsafe(`create table app.names (tenant_id uuid not null, gone int, ${columns.map((c) => `${c} int`)}, more text,
      primary key (tenant_id, ${columns}))`)
    await captureChanges(tx as unknown as AdminSql, 'app', [])
  })
  const one = Object.fromEntries(names.map((name) => [name, 1]))
  const noted = async () =>
    (await sql()<{ key: unknown }[]>`delete from tenancy.notes where table_name = 'names' returning key`).map(
      (n) => n.key,
    )
  await sql().begin(async (tx) => {
    await tx.unsafe(`insert into app.names (tenant_id, ${columns}) values ($1, ${names.map(() => 1)})`, [acme])
    await tx.unsafe(`update app.names set more = 'some'`)
    await tx.unsafe(`alter table app.names drop column gone, add column came int default 2`)
    await tx.unsafe(`update app.names set more = 'more'`)
  })
  expect(await noted()).toEqual([one, one, one])
  await sql().unsafe(`drop table app.names`)
})

test('a column that is called as what is captured, or as what a trigger is told, keeps nobody from writing', async () => {
  await sql().begin(async (tx) => {
    await tx.unsafe(`set local role ${OWNER}`)
    await tx.unsafe(`create table app.payments (tenant_id uuid not null, id int, captured boolean, tg_table_name text,
      primary key (tenant_id, id))`)
    await captureChanges(tx as unknown as AdminSql, 'app', [])
  })
  await sql()`insert into app.payments values (${acme}, 1, false, ''), (gen_random_uuid(), 1, false, '')`
  await sql()`update app.payments set captured = true`
  await sql()`delete from app.payments`
  expect(await notes()).toEqual(Array(3).fill('payments {"id": 1}'))
  await sql().unsafe(`drop table app.payments`)
})

test('rooms that are made at the same time share the function for their keys', async () => {
  const make = async (tx: { unsafe: ReturnType<typeof sql>['unsafe'] }) =>
    (await tx.unsafe(`select tenancy.capture_function(array['place', 'number']) as name`))[0]!.name
  const elsewhere = system.control.makerOf('us-1').admin('postgres')
  let second: Promise<unknown> = Promise.resolve()
  const first = await sql().begin(async (tx) => {
    const name = await make(tx)
    second = make(sql())
    await waitUntil('the other one to wait', async () => {
      const waiting =
        await elsewhere`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%capture_function%'`
      return waiting.length > 0
    })
    return name
  })
  expect(await second).toBe(first)
})

test('in a room that no migration has come to since, the function of before notes the same', async () => {
  for (const event of ['insert', 'update', 'delete']) {
    const [row] = await sql()<{ def: string }[]>`select pg_get_triggerdef(oid) as def from pg_trigger
      where tgrelid = 'app.only_key'::regclass and tgname = ${`innkeeper_capture_${event}`}`
    const before = row!.def.replace(/EXECUTE FUNCTION .*$/, `EXECUTE FUNCTION tenancy.capture('name')`)
    await sql().unsafe(before.replace('CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER'))
  }
  await run(`insert into "{room}".only_key values (default, 'old')`)
  await run(`update "{room}".only_key set name = 'older' where name = 'old'`)
  await run(`delete from "{room}".only_key where name = 'older'`)
  const noted = await notes()
  expect(new Set(noted)).toEqual(new Set(['only_key {"name": "old"}', 'only_key {"name": "older"}']))
  expect(noted.at(-1)).toBe('only_key {"name": "older"}')
})

test('what is set for a rehearsal hides nothing, and notes nothing while nobody is captured', async () => {
  const rehearsed = (name: string) =>
    run(`with s as materialized (select set_config('tenancy.rehearsal', 'on', true))
      insert into "{room}".only_key select tenancy.tenant_id(), '${name}' from s`)
  await rehearsed('captured')
  expect(await notes()).toContain('only_key {"name": "captured"}')
  await sql()`delete from tenancy.notes`
  await capture(false)
  await rehearsed('not captured')
  expect(await notes()).toEqual([])
})

test('nobody is captured: nothing is noted', async () => {
  await capture(false)
  await run(`insert into "{room}".only_key values (default, 'quiet')`)
  expect(await notes()).toEqual([])
})
