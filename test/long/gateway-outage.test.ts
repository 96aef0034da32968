import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startWorld, type TestGateway, type World } from '../gateway/support.ts'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { BUSY } from '../support/busy.ts'
import { startTap, type Tap } from '../support/tap.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { waitUntil } from '../support/wait.ts'

/** Two regions and a control database of its own; each link that can be cut goes through a tap. */
let world: World
let admin: TestAdmin
const gateways: { us: TestGateway; eu: TestGateway } = {} as never
const taps: { us: Tap; eu: Tap; controlOfEu: Tap } = {} as never

const SAID = 'the control database does not answer: tenants that are known go on as they were'
/** A bound on hangs, not a promise. */
const SOON_MS = 5_000 * BUSY
const soon = (what: string, condition: () => boolean | Promise<boolean>) => waitUntil(what, condition, SOON_MS)
const US = ['acme', 'hooli', 'initech']
const EU = ['umbrella', 'globex', 'stark']
const control = () => world.system.controlServer.server

beforeAll(async () => {
  for (const name of ['us', 'eu', 'controlOfEu'] as const) taps[name] = await startTap()
  const folder = await temporaryFolder('directory')
  world = await startWorld({
    regions: ['us', 'eu'],
    ownControlServer: true,
    configure: (input) => ({
      ...input,
      directory: { persistFolder: folder, persistMs: 100, ttlMs: 300 },
      peering: { connectTimeoutMs: 500, answerTimeoutMs: 5_000 },
      regions: {
        us: { ...input.regions.us!, peerUrl: taps.us.url },
        eu: { ...input.regions.eu!, peerUrl: taps.eu.url },
      },
      tiers: Object.fromEntries(Object.entries(input.tiers).map(([t, tier]) => [t, { ...tier, away: 'forward' }])),
    }),
  })
  taps.controlOfEu.target = control().port
  await startGateway('us')
  await startGateway('eu')
  // Known from here on: on a busy machine the very first look-up may take longer than it is given.
  for (const region of ['us', 'eu'] as const) {
    for (const slug of [...US, ...EU]) await soon(slug, async () => (await ask(region, slug)).status === 200)
  }
  admin = await startTestAdmin(world.system)
}, 180_000)
afterEach(async () => {
  // A test that failed leaves its clients behind.
  await Promise.all(loads.splice(0).map((l) => l.stop()))
  await control().restart()
  await soon('both gateways to be connected', async () => {
    return (await connected('us')) && (await connected('eu'))
  })
})
afterAll(async () => {
  await admin?.close()
  await world?.close()
  for (const tap of Object.values(taps)) await tap.close()
})

async function startGateway(region: 'us' | 'eu') {
  const url = world.system.env.INNKEEPER_DIRECTORY_URL!
  const throughTap = url.replace(`:${control().port}/`, `:${taps.controlOfEu.port}/`)
  const env = region === 'eu' ? { ...world.system.env, INNKEEPER_DIRECTORY_URL: throughTap } : world.system.env
  gateways[region] = await world.gateway(region, { env })
  taps[region].target = gateways[region].port
}

const ask = (region: 'us' | 'eu', slug: string) => gateways[region].ask('/rest/v1/tickets?limit=1', { as: slug })
const readyz = async (region: 'us' | 'eu') => (await gateways[region].ask('/readyz')).json
const connected = async (region: 'us' | 'eu') => (await readyz(region)).directory.connected === true

const loads: { stop(): Promise<unknown> }[] = []

/** A client for each tenant that asks one gateway until told to stop. @returns what was not answered with 200 */
function startLoad(region: 'us' | 'eu', slugs: readonly string[]) {
  const failures: unknown[] = []
  const counts = new Map(slugs.map((s) => [s, 0]))
  let running = true
  const clients = slugs.map(async (slug) => {
    while (running && failures.length < 10) {
      const { status, json } = await ask(region, slug)
      counts.set(slug, counts.get(slug)! + 1)
      if (status !== 200) failures.push({ region, slug, status, json })
      await sleep(2)
    }
  })
  const load = {
    async answers(more: number) {
      const until = new Map([...counts].map(([slug, n]) => [slug, n + more]))
      await waitUntil('answers', () => failures.length > 0 || [...until].every(([s, n]) => counts.get(s)! >= n), 60_000)
    },
    async stop() {
      running = false
      await Promise.all(clients)
      return failures
    },
  }
  loads.push(load)
  return load
}

test('the control database is killed: no request of a known tenant fails on either gateway, forwarded ones included', async () => {
  const during = [startLoad('us', [...US, ...EU]), startLoad('eu', [...EU, ...US])]
  await Promise.all(during.map((l) => l.answers(10)))
  control().kill('SIGKILL')
  // Long enough for every answer that was fresh to have become stale.
  await sleep(1_500)
  await Promise.all(during.map((l) => l.answers(30)))
  for (const region of ['us', 'eu'] as const) {
    const ready = await readyz(region)
    expect(ready).toMatchObject({ status: 'ready', directory: { connected: false } })
    expect(ready.directory.stale_for_ms).toBeGreaterThan(0)
    expect(gateways[region].logs).toContainEqual(expect.objectContaining({ msg: SAID }))
    expect(await gateways[region].telemetry.prometheusText()).toMatch(/^directory_connected(\{.*\})? 0$/m)
  }
  for (const load of during) expect(await load.stop()).toEqual([])

  // A gateway that is started now knows what the one before it knew.
  for (const region of ['us', 'eu'] as const) {
    await gateways[region].close()
    await startGateway(region)
  }
  const after = [startLoad('us', [...US, ...EU]), startLoad('eu', [...EU, ...US])]
  await Promise.all(after.map((l) => l.answers(20)))
  expect((await readyz('us')).directory).toMatchObject({ connected: false, restored: 6 })

  // What would change the directory says why it cannot, and that it is not the caller's fault.
  for (const [method, path, body] of [
    ['POST', '/admin/v1/tenants', { slug: 'wayne', region: 'us', tier: 'free' }],
    ['PATCH', '/admin/v1/tenants/acme', { status: 'suspended' }],
    ['GET', '/admin/v1/tenants/acme', undefined],
  ] as const) {
    const answer = await admin.call(method, path, body)
    expect([path, answer.status, answer.body.code]).toEqual([path, 503, 'directory_unavailable'])
    expect(answer.headers.get('retry-after')).not.toBeNull()
  }

  for (const region of ['us', 'eu'] as const) {
    await soon('the log', () => gateways[region].logs.some((l) => l.msg === SAID))
  }
  await control().restart()
  await soon('both gateways to be connected', async () => (await connected('us')) && (await connected('eu')))
  for (const load of after) expect(await load.stop()).toEqual([])
  for (const region of ['us', 'eu'] as const) {
    await soon('the log', () => gateways[region].logs.some((l) => l.msg === 'the control database answers again'))
  }
  // Caches catch up, and the control plane is of use again.
  const suspended = async (slug: string) =>
    (await admin.call('PATCH', `/admin/v1/tenants/${slug}`, { status: 'suspended' })).status
  await soon('the control plane', async () => (await suspended('stark')) === 200)
  for (const region of ['us', 'eu'] as const) {
    await expect.poll(async () => (await ask(region, 'stark')).status, { timeout: SOON_MS }).toBe(403)
  }
  await world.system.control.resume('stark')
  await expect.poll(async () => (await ask('us', 'stark')).status, { timeout: SOON_MS }).toBe(200)
}, 180_000)

test('a region that is cut off from the others and the control database serves its own, and so do the others', async () => {
  const own = [startLoad('us', US), startLoad('eu', EU)]
  await Promise.all(own.map((l) => l.answers(10)))
  const ports = { eu: taps.eu.port, control: taps.controlOfEu.port }
  await Promise.all([taps.eu.stopListening(), taps.controlOfEu.stopListening()])
  await soon('the cut to be noticed', async () => !(await connected('eu')))
  await Promise.all(own.map((l) => l.answers(30)))
  // Never from anywhere else than home.
  const away = await ask('us', 'umbrella')
  expect([away.status, away.json.code]).toEqual([503, 'region_unavailable'])
  expect(await connected('us')).toBe(true)
  await world.system.control.suspend('hooli')
  await expect.poll(async () => (await ask('us', 'hooli')).status, { timeout: SOON_MS }).toBe(403)
  await world.system.control.resume('hooli')
  await Promise.all([taps.eu.listenAgain(ports.eu), taps.controlOfEu.listenAgain(ports.control)])
  await soon(
    'the region to be back',
    async () => (await connected('eu')) && (await ask('us', 'umbrella')).status === 200,
  )
  const [ofUs, ofEu] = await Promise.all(own.map((l) => l.stop()))
  expect(ofUs!.filter((f) => (f as { slug: string }).slug !== 'hooli')).toEqual([])
  expect(ofEu).toEqual([])
}, 120_000)

test('a region that is down affects no tenant of another', async () => {
  const load = startLoad('us', US)
  await load.answers(10)
  const { server } = world.system.servers.get('eu')!
  await gateways.eu.close()
  server.kill('SIGKILL')
  // While others ask for its tenants without a pause.
  const asking = Promise.all(EU.flatMap((slug) => Array.from({ length: 20 }, () => ask('us', slug))))
  await load.answers(50)
  for (const { status, json } of await asking) expect([status, json.code]).toEqual([503, 'region_unavailable'])
  expect(await load.stop()).toEqual([])
  await server.restart()
  await startGateway('eu')
  await expect.poll(async () => (await ask('us', 'umbrella')).status, { timeout: SOON_MS }).toBe(200)
}, 120_000)
