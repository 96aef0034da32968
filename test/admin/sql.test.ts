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
    expect(made.body).toEqual({ command: 'INSERT', rowCount: 1, rows: [{ name: slug }], truncated: false })
    // Nothing of another tenant, and nothing that outlives the statement.
    expect((await run(slug, 'select name from tags;')).body.rows).toEqual([{ name: slug }])
    expect((await run(slug, 'select * from tenancy.fence')).body).toMatchObject({ status: 403, field: 'sql' })
    for (const forbidden of ['set role postgres', 'begin', 'select 1; select 2', 'drop table tags']) {
      expect((await run(slug, forbidden)).status, forbidden).toBeGreaterThanOrEqual(400)
    }
  }
})

test('a big result is cut and says so, without being read whole', async () => {
  const { body } = await run('acme', 'select generate_series(1, 1000000000) as n -- all of them', { limit: 3 })
  expect(body).toEqual({ command: 'SELECT', rowCount: 3, rows: [{ n: 1 }, { n: 2 }, { n: 3 }], truncated: true })
  const ordered = await run('acme', 'select n from generate_series(1, 5) n order by n desc', { limit: 2 })
  expect(ordered.body.rows).toEqual([{ n: 5 }, { n: 4 }])
  expect((await run('acme', 'with x as (select 7 as n) select * from x')).body.rows).toEqual([{ n: 7 }])
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
