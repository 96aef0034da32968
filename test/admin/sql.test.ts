import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let admin: TestAdmin
beforeAll(async () => {
  system = await startTestSystem()
  admin = await startTestAdmin(system)
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

const run = (slug: string, sql: string, more: object = {}) =>
  admin.call('POST', `/admin/v1/tenants/${slug}/sql`, { sql, ...more })

test('a statement runs in the tenant’s room, with the tenant’s rights, on every model', async () => {
  for (const slug of ['acme', 'hooli', 'initech']) {
    const made = await run(slug, `insert into tags (name) values ('${slug}') returning name`)
    expect(made.body).toEqual({
      command: 'INSERT',
      columns: ['name'],
      rowCount: 1,
      rows: [[slug]],
      truncated: false,
    })
    // Nothing of another tenant, and nothing that outlives the statement.
    expect((await run(slug, 'select name from tags;')).body.rows).toEqual([[slug]])
    expect((await run(slug, 'select * from tenancy.fence')).body).toMatchObject({ status: 403, field: 'sql' })
    for (const forbidden of ['set role postgres', 'begin', 'select 1; select 2', 'drop table tags']) {
      expect((await run(slug, forbidden)).status, forbidden).toBeGreaterThanOrEqual(400)
    }
  }
})

test('a big result is cut and says so, without being read whole', async () => {
  const { body } = await run('acme', 'select generate_series(1, 1000000000) as n -- all of them', { limit: 3 })
  expect(body).toEqual({ command: 'SELECT', columns: ['n'], rowCount: 3, rows: [[1], [2], [3]], truncated: true })
  const ordered = await run('acme', 'select n from generate_series(1, 5) n order by n desc', { limit: 2 })
  expect(ordered.body.rows).toEqual([[5], [4]])
  expect((await run('acme', 'with x as (select 7 as n) select * from x')).body.rows).toEqual([[7]])
})

test('every column is shown, whatever its name and how many have it', async () => {
  const { body } = await run('acme', 'select 1 as a, 2 as a, 3 as "__proto__", 4 as "7", 5 as "6"')
  expect(body).toMatchObject({ columns: ['a', 'a', '__proto__', '7', '6'], rows: [[1, 2, 3, 4, 5]] })
  expect((await run('acme', 'select name from tags where false')).body).toMatchObject({ columns: ['name'], rows: [] })
})

test.each([
  [`'NaN'::float8`, 'NaN'],
  [`'-Infinity'::float4`, '-Infinity'],
  [`array[1, 'NaN']::float8[]`, '{1,NaN}'],
  [`point('Infinity', 1)`, '(Infinity,1)'],
  [`'infinity'::timestamp`, 'infinity'],
  [`'2026-01-02 03:04:05.123456'::timestamp`, '2026-01-02 03:04:05.123456'],
  [`'-infinity'::date`, '-infinity'],
  [`'NaN'::numeric`, 'NaN'],
  [`9223372036854775807`, '9223372036854775807'],
  [`'{"n": 1e400}'::json`, '{"n": 1e400}'],
  [`'{"n": [12345678901234567890]}'::jsonb`, '{"n": [12345678901234567890]}'],
  [`'{"n": [1.50, -0.25e3, 0.1]}'::json`, { n: [1.5, -250, 0.1] }],
  [`'\\x0102'::bytea`, '\\x0102'],
  ['array[1, null]', [1, null]],
  ['0.1::float8', 0.1],
  ['true', true],
  ['null', null],
])('the value of %s is shown as it is', async (expression, shown) => {
  expect((await run('acme', `select ${expression} as v`)).body.rows).toEqual([[shown]])
})

test('what PostgreSQL says of a statement reaches its author', async () => {
  expect((await run('acme', 'select * frm tags')).body).toMatchObject({
    status: 400,
    code: 'invalid_request',
    details: 'SQLSTATE 42601',
  })
  expect((await run('acme', '')).body).toMatchObject({ status: 400, field: 'sql' })
  expect((await run('nobody', 'select 1')).status).toBe(404)
})

test('every use is logged with who and why, before it runs', async () => {
  admin.lines.length = 0
  await run('hooli', 'select broken', { reason: 'ticket 4711' })
  expect(admin.lines).toMatchObject([
    {
      event: 'admin.change',
      actor: 'admin',
      action: 'tenant.sql',
      tenant_slug: 'hooli',
      reason: 'ticket 4711',
      details: { sql: 'select broken' },
    },
  ])
})
