import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { secret } from '../../config/index.ts'
import type { RunningGateway } from '../../gateway/serve.ts'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { startLoadGateway } from '../move/support/gateway.ts'
import { expectNothingLost, startLoadOn } from '../move/support/load.ts'
import { httpClient } from '../move/support/load-client.ts'
import { QUICK, startTwoClusters, TIER_OF } from '../move/support/two-clusters.ts'
import { BUSY } from '../support/busy.ts'
import { type Link, openLink } from '../support/link.ts'
import { startTestRedis } from '../support/redis.ts'
import type { TestSystem } from '../support/system.ts'

// Some wait for what times out.
vi.setConfig({ testTimeout: 15_000 * BUSY })

let system: TestSystem
/** Between the gateways and the directory. */
let link: Link
/** Done when a move comes to the point, once. */
let at: { point: string; act(): unknown } | null = null
let last = ''
beforeAll(async () => {
  const tenants = [
    { slug: 'acme', tier: 'free', region: 'us' },
    { slug: 'other', tier: 'free', region: 'us' },
  ] as const
  system = await startTwoClusters(tenants, { moveSettings: { ...QUICK, deadlineMs: 1_000 * BUSY } })
  link = await openLink(system.controlServer.server.port)
  system.control.moves.run(async (point) => {
    if (point !== at?.point) return
    const { act } = at
    at = null
    await act()
  })
})
afterAll(async () => {
  await system?.close()
  await link?.close()
})

async function gatewayFarAway(): Promise<RunningGateway> {
  const { input, env } = system
  return startLoadGateway({
    input,
    env: { ...env, INNKEEPER_DIRECTORY_URL: link.through(env.INNKEEPER_DIRECTORY_URL!) },
  })
}
const ask = async (gateway: RunningGateway, slug: string, path: string) => {
  const answer = await fetch(`${gateway.url}/t/${slug}${path}`, { headers: { apikey: system.keyOf(slug) } })
  return { status: answer.status, text: await answer.text() }
}

test.each(['schema', 'database', 'shared'] as const)(
  'a gateway that has not heard of the move to %s answers the data API’s first request from the new room, and no neighbour notices',
  async (isolation) => {
    const gateway = await gatewayFarAway()
    // It follows the directory by now, so that what it has read counts as fresh.
    await expect
      .poll(async () => (await fetch(`${gateway.url}/readyz`)).text(), { timeout: 5_000 * BUSY })
      .toContain('"connected":true')
    await new Promise((resolve) => setTimeout(resolve, 300))
    for (const slug of ['acme', 'other']) expect((await ask(gateway, slug, '/v1/whoami')).status).toBe(200)
    link.set('hold')
    const { moves } = system.control
    const { id } = await moves.start({ tenant: 'acme', tier: TIER_OF[isolation], by: 'test' })
    expect(await moves.reached(id, 'watching')).toMatchObject({ state: 'watching' })
    // Its catalogue is not known yet, and is asked for in the room that the tenant has left.
    const first = ask(gateway, 'acme', '/rest/v1/tags?limit=1')
    await new Promise((resolve) => setTimeout(resolve, 200))
    link.set('pass')
    expect(await first).toMatchObject({ status: 200 })
    expect(await ask(gateway, 'acme', '/rest/v1/tags?limit=1')).toMatchObject({ status: 200 })
    expect(await ask(gateway, 'other', '/rest/v1/tags?limit=1')).toMatchObject({ status: 200 })
    await moves.complete(id)
    await moves.reached(id, 'completed')
    await gateway.close()
  },
)

test('answers of the directory that were given before the flip and arrive after it lead nobody astray', async () => {
  const gateway = await gatewayFarAway()
  const load = await loadThrough(gateway, 'acme')
  const { moves } = system.control
  for (const way of ['there', 'back']) {
    at = {
      point: 'fenced',
      act() {
        // Those who wait ask over and over. The answers are those of now, and come later than anybody waits for an answer.
        link.set('late')
        at = { point: 'flipped', act: () => void setTimeout(() => link.set('pass'), 2_500) }
      },
    }
    if (way === 'there') {
      const { id } = await moves.start({ tenant: 'acme', tier: 'enterprise', by: 'test' })
      last = id
    } else await moves.rollback(last)
    const move = await moves.reached(last, way === 'there' ? 'watching' : 'rolled_back')
    expect(move, move.reason ?? '').toMatchObject({ state: way === 'there' ? 'watching' : 'rolled_back' })
    await expect.poll(() => at, { timeout: 5_000 * BUSY }).toBe(null)
    const operations = load.operations()
    await expect.poll(load.operations, { timeout: 5_000 * BUSY }).toBeGreaterThan(operations + 50)
  }
  expectNothingLost(await load.stop())
  await gateway.close()
})

test('without notifications no request fails', async () => {
  const control = system.controlServer.server
  await withAdmin(control.url(), 'innkeeper_control', {}, async (sql) => {
    await sql`alter function directory_change(uuid, text[]) rename to directory_change_told`
    await sql.unsafe(`create function directory_change(tenant uuid, keys text[]) returns bigint language plpgsql as $$
      declare number bigint;
      begin
        perform pg_advisory_xact_lock(1229868622);
        insert into changes (tenant_id, keys) values (tenant, keys) returning seq into number;
        return number;
      end $$`)
  })
  const gateway = await gatewayFarAway()
  await thereAndBack(gateway)
  await gateway.close()
  await withAdmin(control.url(), 'innkeeper_control', {}, async (sql) => {
    await sql`drop function directory_change(uuid, text[])`
    await sql`alter function directory_change_told(uuid, text[]) rename to directory_change`
  })
})

test('when Redis is gone in the middle of it no request fails', async ({ skip }) => {
  const redis = await startTestRedis()
  if (redis === null) return skip()
  const { us } = system.input.regions
  const gateway = await startLoadGateway({
    input: {
      ...system.input,
      regions: { ...system.input.regions, us: { ...us!, redisUrl: secret('TEST_REDIS_URL') } },
    },
    env: { ...system.env, TEST_REDIS_URL: redis.url },
  })
  at = { point: 'opened', act: () => redis.stop() }
  await thereAndBack(gateway)
  expect(at).toBe(null)
  await gateway.close()
})

async function thereAndBack(gateway: RunningGateway): Promise<void> {
  const { moves } = system.control
  const load = await loadThrough(gateway, 'acme')
  const { id } = await moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
  expect(await moves.reached(id, 'watching')).toMatchObject({ state: 'watching' })
  const operations = load.operations()
  await expect.poll(load.operations, { timeout: 5_000 * BUSY }).toBeGreaterThan(operations + 50)
  await moves.rollback(id)
  expect(await moves.reached(id, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
  expectNothingLost(await load.stop())
}

async function loadThrough(gateway: RunningGateway, slug: string) {
  const tenants = await system.openTenants('us')
  return startLoadOn(tenants, slug, [httpClient(() => gateway.url, slug, system.keyOf(slug))])
}
