import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { secret } from '../../config/index.ts'
import { type OwnRedis, startOwnRedis } from '../directory/support.ts'
import { startTap, type Tap } from '../support/tap.ts'
import { waitUntil } from '../support/wait.ts'
import { probeRoutes } from './probe-routes.ts'
import type { TestGateway } from './support.ts'
import { startTwoRegions, type TwoRegions } from './two-regions.ts'

const REGIONS = ['us', 'eu'] as const
type Region = (typeof REGIONS)[number]
const CANARY = 'canary-7d1e'

let redis: Record<Region, OwnRedis> | null = null
let regions: TwoRegions
/** In front of each region's Redis: what its gateways say to it. */
let taps: Record<Region, Tap>
/** Two gateways for each region. */
let gateways: Record<Region, readonly [TestGateway, TestGateway]>

beforeAll(async () => {
  const [us, eu] = [await startOwnRedis(), await startOwnRedis()]
  if (us === null || eu === null) return
  redis = { us, eu }
  taps = { us: await startTap(), eu: await startTap() }
  for (const region of REGIONS) {
    taps[region].target = redis[region].port
    taps[region].isRecording = true
  }
  regions = await startTwoRegions({
    routes: probeRoutes(),
    // Every process is given the addresses of both.
    env: { REDIS_US: taps.us.url.replace('http:', 'redis:'), REDIS_EU: taps.eu.url.replace('http:', 'redis:') },
    configure: (input) => ({
      ...input,
      regions: {
        us: { ...input.regions.us!, redisUrl: secret('REDIS_US') },
        eu: { ...input.regions.eu!, redisUrl: secret('REDIS_EU') },
      },
    }),
  })
  const options = { routes: probeRoutes() }
  gateways = {
    us: [regions.us, await regions.world.gateway('us', options)],
    eu: [regions.eu, await regions.world.gateway('eu', options)],
  }
}, 180_000)
afterAll(async () => {
  await regions?.close()
  for (const region of REGIONS) {
    await taps?.[region].close()
    await redis?.[region].stop()
  }
})

const said = (region: Region) => Buffer.concat(taps[region].sent).toString('latin1')
const idOf = async (slug: string) => (await regions.world.system.control.tenant(slug)).id

/** Every kind of request, at both gateways of both regions: served, forwarded, redirected, rejected, refused. */
async function ask(): Promise<Set<number>> {
  const statuses = new Set<number>()
  for (const region of REGIONS) {
    for (const gateway of gateways[region]) {
      for (const as of ['acme', 'hooli', 'initech', 'umbrella', 'globex', 'stark']) {
        const answer = await gateway.ask(`/t/${as}/probe/body`, { as, method: 'POST', body: `${CANARY} of ${as}` })
        statuses.add(answer.status)
      }
      statuses.add((await gateway.ask('/t/acme/probe/body', { headers: { apikey: 'ink_nonsense' } })).status)
    }
  }
  return statuses
}

test("a region's gateways talk to their own Redis only, and tell it nothing of another region's tenants but where they live", async (context) => {
  if (redis === null) return context.skip()
  expect([...(await ask())].sort()).toEqual([200, 307, 401, 421])
  // The counts of what was let in are told a little later.
  for (const region of REGIONS) await waitUntil('the counts', () => said(region).includes(`innkeeper:${region}:rate`))
  for (const region of REGIONS) {
    const other = region === 'us' ? 'eu' : 'us'
    const client = await redis[region].client()
    const there = [...((await client.client('LIST')) as string).matchAll(/ name=(\S*)/g)].map((m) => m[1])
    expect(new Set(there.filter((name) => name !== ''))).toEqual(new Set([`innkeeper-gateway-${region}`]))
    expect(there.filter((name) => name !== '')).toHaveLength(2)
    const text = said(region)
    expect(text).toContain(`ink:hop:${region}:`)
    for (const foreign of [`ink:hop:${other}:`, `innkeeper:${other}:`, CANARY, 'ink_']) {
      expect([region, foreign, text.includes(foreign)]).toEqual([region, foreign, false])
    }
    // Use is counted at home, also of what was forwarded.
    for (const slug of other === 'eu' ? ['umbrella', 'stark'] : ['acme', 'initech']) {
      expect(text).not.toContain(`rate:${await idOf(slug)}`)
    }
  }
})

test("a region's Redis that hangs, or is gone, is nothing to another region", async (context) => {
  if (redis === null) return context.skip()
  try {
    for (const mode of ['hang', 'cut'] as const) {
      taps.eu.mode = mode
      taps.eu.cutAll()
      const { made } = taps.us.connections()
      for (const gateway of gateways.us) {
        for (const as of ['acme', 'hooli', 'initech']) {
          expect((await gateway.ask(`/t/${as}/probe/headers`, { as })).status).toBe(200)
        }
        expect(gateway.logs.filter((l) => l.msg === 'redis')).toEqual([])
      }
      // Its connections were neither lost nor made anew.
      expect(taps.us.connections().made).toBe(made)
      // Nor does its own region fail by it, forwarded or not.
      expect((await gateways.eu[0].ask('/t/umbrella/probe/headers', { as: 'umbrella' })).status).toBe(200)
      expect((await gateways.us[0].ask('/t/umbrella/probe/headers', { as: 'umbrella' })).status).toBe(200)
    }
  } finally {
    taps.eu.mode = 'pass'
    taps.eu.cutAll()
  }
})

test('a forwarded request that somebody recorded is refused at every gateway of the region', async (context) => {
  if (redis === null) return context.skip()
  const back = await redis.eu.client()
  await waitUntil(
    'Redis',
    async () => (((await back.client('LIST')) as string).match(/innkeeper-gateway/g) ?? []).length === 2,
  )
  regions.taps.eu.cutAll()
  regions.taps.eu.sent.splice(0)
  regions.taps.eu.isRecording = true
  // A gateway that met a Redis without an answer leaves it alone for a second.
  await new Promise((r) => setTimeout(r, 1_500))
  const answer = await gateways.us[0].ask('/t/umbrella/probe/body', { as: 'umbrella', method: 'POST', body: 'once' })
  expect(answer).toMatchObject({ status: 200, json: { body: 'once' } })
  const recorded = Buffer.concat(regions.taps.eu.sent)
  expect(recorded.toString('latin1')).toContain('x-innkeeper-hop')
  for (const gateway of gateways.eu) {
    const replayed = await sendBytes(gateway.port, recorded)
    expect(replayed).toMatch(/^HTTP\/1\.1 401 /)
    expect(replayed).toContain('The hop token was used before')
  }
})

async function sendBytes(port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
    if (text.includes('used before')) socket.end()
  })
  socket.setTimeout(5_000, () => socket.destroy())
  socket.write(bytes)
  await once(socket, 'close')
  return text
}
