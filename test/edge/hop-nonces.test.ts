import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Nonces, ownNonces, sharedNonces } from '../../gateway/edge/away/nonces.ts'
import { startTestRedis, type TestRedis } from '../support/redis.ts'

let server: TestRedis | null
const clients: Redis[] = []
beforeAll(async () => {
  server = await startTestRedis()
})
afterAll(async () => {
  for (const client of clients) client.disconnect()
  await server?.stop()
})

const log = pino({ level: 'silent' })

/** As a gateway of the region has them: a memory and a connection of its own. */
function gateway(region = 'us', url = server!.url, keptMs = 60_000): Nonces {
  const redis = new Redis(url, { maxRetriesPerRequest: 1, enableOfflineQueue: false, retryStrategy: () => 50 })
  redis.on('error', () => {})
  clients.push(redis)
  return sharedNonces({ own: ownNonces(keptMs, Date.now), redis, region, keptMs, log })
}
const connected = () => Promise.all(clients.map((c) => c.status === 'ready' || new Promise((r) => c.once('ready', r))))
const nonce = () => randomBytes(12).toString('hex')

test('what one gateway of a region took, none of them takes again', async (context) => {
  if (server === null) return context.skip()
  const gateways = [gateway(), gateway(), gateway()]
  await connected()
  for (let n = 0; n < 20; n++) {
    const replayed = nonce()
    const taken = await Promise.all(gateways.map((g) => g.use(replayed)))
    expect(taken.filter((isTaken) => isTaken)).toHaveLength(1)
  }
})

test("a region's gateways do not see another one's nonces, even in the same Redis", async (context) => {
  if (server === null) return context.skip()
  const [us, eu] = [gateway('us'), gateway('eu')]
  await connected()
  const same = nonce()
  expect(await us.use(same)).toBe(true)
  expect(await eu.use(same)).toBe(true)
})

test('in Redis a nonce is forgotten when its token has expired', async (context) => {
  if (server === null) return context.skip()
  const us = gateway('us', server.url, 12_000)
  await connected()
  const kept = nonce()
  await us.use(kept)
  expect(await clients[0]!.pttl(`ink:hop:us:${kept}`)).toSatisfy((ms: number) => ms > 0 && ms <= 12_000)
})

test('while Redis is away nothing is refused that is new, and nothing taken twice by one gateway', async () => {
  const alone = gateway('us', 'redis://127.0.0.1:1')
  for (let n = 0; n < 5; n++) {
    const once = nonce()
    expect(await alone.use(once)).toBe(true)
    expect(await alone.use(once)).toBe(false)
  }
})
