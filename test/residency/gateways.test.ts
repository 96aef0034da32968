import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTwoRegions, type TwoRegions } from '../gateway/two-regions.ts'

let regions: TwoRegions
beforeAll(async () => {
  regions = await startTwoRegions()
})
afterAll(() => regions?.close())

test('a gateway says in the control database that it is there, whom it served and whom it sent home, and when it stopped', async () => {
  const { us, eu, world } = regions
  expect((await us.ask('/v1/whoami', { as: 'acme' })).status).toBe(200)
  expect((await us.ask('/v1/whoami', { as: 'umbrella' })).status).toBe(200)
  // Rejected and redirected: nothing of them passed through.
  for (const slug of ['stark', 'globex']) expect((await us.ask('/v1/whoami', { as: slug })).status).not.toBe(200)
  await us.close()
  await eu.close()
  const sql = postgres(world.system.env.INNKEEPER_CONTROL_URL!, { max: 1 })
  const served = await sql<{ region: string; slug: string; how: string }[]>`
    select g.region, t.slug, s.how from gateway_tenants s join gateways g on g.id = s.gateway_id join tenants t on t.id = s.tenant_id
    order by 1, 2, 3`
  expect([...served]).toEqual([
    { region: 'eu', slug: 'umbrella', how: 'home' },
    { region: 'us', slug: 'acme', how: 'home' },
    { region: 'us', slug: 'umbrella', how: 'forwarded' },
  ])
  const [{ stopped } = { stopped: 0 }] =
    await sql`select count(*)::int as stopped from gateways where stopped_at is not null`
  expect(stopped).toBe(2)
  await sql.end()
})
