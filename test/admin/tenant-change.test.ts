import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let admin: TestAdmin
beforeAll(async () => {
  system = await startTestSystem({
    regions: ['us', 'eu'],
    tenants: [
      { slug: 'acme', tier: 'free', region: 'us' },
      { slug: 'hooli', tier: 'free', region: 'us' },
    ],
    configure: (input) => ({ ...input, tiers: { ...input.tiers, starter: { isolation: 'shared' } } }),
  })
  admin = await startTestAdmin(system)
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

const path = (slug: string) => `/admin/v1/tenants/${slug}`
const shown = async (slug: string) => (await admin.call('GET', path(slug))).body
const actionsOf = async (tenant: string) =>
  (await admin.call('GET', `/admin/v1/audit?tenant=${tenant}`)).body.entries.map((e: { action: string }) => e.action)

test('a change of several fields is one change, with an entry for each in the audit log', async () => {
  const { version } = await shown('hooli')
  const change = { status: 'suspended', tier: 'starter', away: 'redirect' }
  expect(await admin.call('PATCH', path('hooli'), change)).toMatchObject({ status: 200, body: change })
  expect(await shown('hooli')).toMatchObject({ ...change, version: version + 1 })
  expect((await actionsOf('hooli')).slice(0, 3).sort()).toEqual(['tenant.away', 'tenant.suspend', 'tenant.tier'])
})

test('of a change with a field that is refused nothing is done', async () => {
  await admin.call('PATCH', `${path('acme')}/residency`, { pinned: ['us'], reason: 'by contract' })
  const before = await shown('acme')
  const refused = await admin.call('PATCH', path('acme'), { tier: 'starter', away: 'forward', status: 'suspended' })
  expect(refused).toMatchObject({ status: 403, body: { code: 'residency_violation' } })
  expect(await shown('acme')).toEqual(before)
})

test('a change that fails while it is written leaves nothing, in the audit log either', async () => {
  const sql = postgres(system.config.controlUrl)
  await sql.unsafe(`
    create function refuse_suspension() returns trigger language plpgsql as $$ begin
      if new.entry ->> 'action' = 'tenant.suspend' then raise 'not today'; end if;
      return new;
    end $$;
    create trigger a_refusal before insert on audit_log for each row execute function refuse_suspension()`)
  const [before, actions] = [await shown('acme'), await actionsOf('acme')]
  const failed = await admin.call('PATCH', path('acme'), { tier: 'starter', away: 'reject', status: 'suspended' })
  expect(failed.status).toBe(500)
  expect(await shown('acme')).toEqual(before)
  expect(await actionsOf('acme')).toEqual(actions)
  await sql`drop trigger a_refusal on audit_log`
  expect((await admin.call('PATCH', path('acme'), { tier: 'starter', status: 'suspended' })).status).toBe(200)
  await sql.end()
})
