import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { probeRoutes } from '../gateway/probe-routes.ts'
import { startTwoRegions, type TwoRegions } from '../gateway/two-regions.ts'
import { BUSY } from '../support/busy.ts'
import { waitUntil } from '../support/wait.ts'

let regions: TwoRegions
beforeAll(async () => {
  regions = await startTwoRegions({ routes: probeRoutes() })
}, 120_000)
afterAll(() => regions?.close())
afterEach(() => {
  const tap = regions.taps.eu
  tap.mode = 'pass'
  tap.target = regions.eu.port
  tap.cutAll()
})

const ask = (path: string, method = 'GET', body?: string) =>
  regions.us.ask(path, { as: 'umbrella', method, ...(body === undefined ? {} : { body }) })

async function timed<T>(work: Promise<T>): Promise<[T, number]> {
  const startedAt = performance.now()
  return [await work, performance.now() - startedAt]
}

const UNAVAILABLE = {
  status: 503,
  headers: { 'retry-after': '1' },
  json: { code: 'region_unavailable' },
}

test('a home region that refuses connections, cuts them or hangs is 503 soon, with when to come back', async () => {
  const { eu: tap } = regions.taps
  tap.mode = 'cut'
  tap.cutAll()
  const [cut, cutMs] = await timed(ask('/probe/headers'))
  expect(cut).toMatchObject(UNAVAILABLE)
  expect(cutMs).toBeLessThan(1_000 * BUSY)
  tap.mode = 'hang'
  const [hung, hungMs] = await timed(ask('/probe/headers'))
  expect(hung).toMatchObject(UNAVAILABLE)
  expect(hungMs).toBeLessThan(4_000 * BUSY)
  expect(hung.json.message).toBe("The tenant's home region eu does not answer")
  tap.mode = 'pass'
  tap.cutAll()
  expect((await ask('/probe/headers')).status).toBe(200)
})

test('a home region that is slow to answer is given up on', async () => {
  const [answer, ms] = await timed(ask('/probe/wait/5'))
  expect(answer).toMatchObject(UNAVAILABLE)
  expect(ms).toBeLessThan(4_000 * BUSY)
})

test('a read that fails on a connection that was closed meanwhile is tried once more, unseen', async () => {
  expect((await ask('/probe/headers')).status).toBe(200)
  const { made } = regions.taps.eu.connections()
  for (let n = 0; n < 10; n++) {
    regions.taps.eu.cutAll()
    expect((await ask('/probe/headers')).status).toBe(200)
  }
  expect(regions.taps.eu.connections().made).toBeGreaterThan(made)
})

test('a change whose answer was lost is never repeated, and says that it may have been made', async () => {
  regions.taps.eu.mode = 'half-close'
  regions.taps.eu.cutAll()
  const { made } = regions.taps.eu.connections()
  const answer = await ask('/probe/body', 'POST', 'once')
  expect(answer).toMatchObject({ status: 502, json: { code: 'outcome_unknown' } })
  expect(regions.taps.eu.connections().made - made).toBe(1)
  const read = await ask('/probe/headers')
  expect(read).toMatchObject(UNAVAILABLE)
  // Once more, and not again.
  expect(regions.taps.eu.connections().made - made).toBe(3)
})

test('a change is 503 where home was never reached: it can be repeated', async () => {
  regions.taps.eu.cutAll()
  await waitUntil('no connection', () => regions.taps.eu.connections().open === 0)
  await sleep(50)
  regions.us.logs.length = 0
  const tap = regions.taps.eu
  const port = tap.port
  await tap.stopListening()
  expect(await ask('/probe/body', 'POST', 'never arrives')).toMatchObject(UNAVAILABLE)
  await tap.listenAgain(port)
  expect((await ask('/probe/body', 'POST', 'arrives')).json).toMatchObject({ body: 'arrives' })
})

test('an answer that breaks off after its head breaks off at the client too', async () => {
  regions.taps.eu.mode = { cutAnswerAfterBytes: 200_000 }
  regions.taps.eu.cutAll()
  await expect(ask('/probe/download/10')).rejects.toThrow(/aborted|ECONNRESET|socket hang up/)
})

test('a client that goes away takes its statement at home with it', async () => {
  const { us, world } = regions
  const { server } = world.system.servers.get('eu')!
  const root = postgres(server.url('innkeeper_shared'), { max: 2, onnotice: () => {} })
  const waiting = async () => {
    const [row] = await root`select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock'`
    return row!.n as number
  }
  await root.begin(async (tx) => {
    await tx`lock table app.tickets in access exclusive mode`
    const headers = { apikey: world.system.keyOf('umbrella') }
    const req = request({ port: us.port, host: '127.0.0.1', path: '/rest/v1/tickets', headers })
    req.on('error', () => {})
    req.end()
    await waitUntil('the statement to wait', async () => (await waiting()) === 1, 2_000)
    req.destroy()
    // Well before the tier's own timeouts.
    await waitUntil('the statement to be cancelled', async () => (await waiting()) === 0, 1_500)
  })
  await root.end()
})

test('while home restarts reads fail with region_unavailable only, and go on by themselves afterwards', async () => {
  const { taps, eu } = regions
  const statuses = new Set<string>()
  let running = true
  const load = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (running) {
        const { status, json } = await ask('/probe/headers')
        statuses.add(status === 200 ? '200' : `${status} ${json.code}`)
        await sleep(5)
      }
    }),
  )
  await sleep(100)
  taps.eu.target = null
  taps.eu.cutAll()
  await sleep(300)
  taps.eu.target = eu.port
  await sleep(300)
  running = false
  await load
  expect([...statuses].sort()).toEqual(['200', '503 region_unavailable'])
  expect((await ask('/probe/headers')).status).toBe(200)
})

test("a region that hangs does not keep this region's own tenants waiting", async () => {
  // Known already, so that what is timed is the request alone.
  expect((await regions.us.ask('/probe/headers', { as: 'acme' })).status).toBe(200)
  regions.taps.eu.mode = 'hang'
  regions.taps.eu.cutAll()
  const stuck = Array.from({ length: 100 }, () => ask('/probe/headers'))
  await sleep(50)
  expect((await regions.us.ask('/probe/headers', { as: 'acme' })).status).toBe(200)
  // As the gateway saw it: a crowd of connections in one process delays the client's own.
  const line = regions.us.logs.findLast((l) => l.tenant_slug === 'acme')
  expect(line!.ms).toBeLessThan(500 * BUSY)
  for (const answer of await Promise.all(stuck)) expect(answer).toMatchObject(UNAVAILABLE)
})
