import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { BUSY } from '../support/busy.ts'
import { waitUntil } from '../support/wait.ts'
import {
  expectSoon,
  type OpenDirectory,
  type OwnRedis,
  startControl,
  startOwnRedis,
  startProxy,
  type TestControl,
} from './support.ts'

/** The most that a Redis which does not answer may add to a look-up. */
const SLOWED_MS = 350

let control: TestControl
let server: OwnRedis | null
let redis: Redis
beforeAll(async () => {
  ;[control, server] = await Promise.all([startControl(), startOwnRedis()])
})
afterAll(async () => {
  await control?.close()
  await server?.stop()
})
const opened: OpenDirectory[] = []
beforeEach(async (context) => {
  if (server === null) return context.skip()
  redis = await server.client()
})
afterEach(async () => {
  // One that is left over would do the invalidating in the next test.
  await Promise.all(opened.splice(0).map((d) => d.close()))
})

async function connected(options: Parameters<TestControl['open']>[0] = {}): Promise<OpenDirectory> {
  const directory = control.open({ redis, ...options })
  opened.push(directory)
  await waitUntil('the directory', () => directory.status().connected)
  await new Promise((r) => setTimeout(r, 150))
  return directory
}

/** Held in Redis, put there by another gateway. */
async function inRedis(...slugs: string[]): Promise<void> {
  const other = await connected()
  for (const slug of slugs) {
    await other.bySlug(slug)
    await waitUntil('Redis to have it', async () => (await keyOf(slug)) !== undefined)
  }
  await other.close()
  opened.splice(opened.indexOf(other), 1)
}

test('what one gateway looked up another one has from Redis', async () => {
  const id = await control.tenant('shared')
  await inRedis('shared')
  const second = await connected()
  expect(await second.bySlug('shared')).toEqual(
    expect.objectContaining({ id, placement: expect.objectContaining({ epoch: expect.any(Number) }) }),
  )
  expect(second.lookups).toMatchObject({ control: 0, redisHits: 1 })
  // As unchangeable as an answer of the control database.
  expect(() => Object.assign(second.peekSlug('shared')!, { tier: 'enterprise' })).toThrow(TypeError)
})

test('a change takes what is in Redis along', async () => {
  const id = await control.tenant('changed')
  await inRedis('changed')
  const watcher = await connected()
  await control.store.setStatus(id, 'suspended')
  await expectSoon([watcher], (d) => d.bySlug('changed'), { status: 'suspended' })
  const newcomer = await connected()
  expect(await newcomer.bySlug('changed')).toMatchObject({ status: 'suspended' })
})

test('a slow gateway cannot put an old answer over an invalidation', async () => {
  const id = await control.tenant('slow-writer')
  const proxy = await startProxy(control.server.port)
  const url = control.config().controlUrl.replace(`:${control.server.port}/`, `:${proxy.port}/`)
  const slow = await connected({ url })
  const quick = await connected()
  proxy.holdAnswersTo('slow-writer')
  const early = slow.bySlug('slow-writer')
  await waitUntil('the answer to be held', () => proxy.held() === 1)
  await control.store.setStatus(id, 'suspended')
  await expectSoon([quick], (d) => d.bySlug('slow-writer'), { status: 'suspended' })
  proxy.release()
  expect(await early).toMatchObject({ status: 'active' })
  await new Promise((r) => setTimeout(r, 100))
  const newcomer = await connected()
  expect(await newcomer.bySlug('slow-writer')).toMatchObject({ status: 'suspended' })
  await proxy.close()
})

test('refresh asks past Redis too', async () => {
  const restore = await control.loseNotifications()
  const id = await control.tenant('past-redis')
  await inRedis('past-redis')
  const deaf = await connected({ settings: { pollMs: 3_600_000 } })
  await deaf.bySlug('past-redis')
  await deaf.byId(id)
  await control.store.setTier(id, 'pro')
  expect(await deaf.refresh(id)).toMatchObject({ tier: 'pro' })
  await restore()
})

test('a change that no gateway of the region heard of holds although Redis was not told', async () => {
  const id = await control.tenant('all-asleep')
  await inRedis('all-asleep')
  await control.store.setStatus(id, 'suspended')
  const first = await connected()
  expect(await first.bySlug('all-asleep')).toMatchObject({ status: 'suspended' })
})

describe('Redis that fails', () => {
  afterEach(() => {
    process.kill(server!.pid, 'SIGCONT')
  })

  test('frozen, it fails no look-up and slows each by a small bound, and soon by none', async () => {
    const directory = await connected()
    const ids = await Promise.all(Array.from({ length: 8 }, (_, n) => control.tenant(`frozen-${n}`)))
    process.kill(server!.pid, 'SIGSTOP')
    const took: number[] = []
    for (const [n, id] of ids.entries()) {
      const startedAt = performance.now()
      expect(await directory.bySlug(`frozen-${n}`)).toMatchObject({ id })
      took.push(performance.now() - startedAt)
    }
    expect(Math.max(...took)).toBeLessThan(SLOWED_MS * BUSY)
    expect(Math.min(...took)).toBeLessThan(50 * BUSY)
  })

  test('a change made while Redis was frozen holds also when it is back', async () => {
    const id = await control.tenant('meanwhile')
    await inRedis('meanwhile')
    const watcher = await connected()
    expect(await watcher.bySlug('meanwhile')).toMatchObject({ status: 'active' })
    process.kill(server!.pid, 'SIGSTOP')
    await control.store.setStatus(id, 'suspended')
    await expectSoon([watcher], (d) => d.bySlug('meanwhile'), { status: 'suspended' })
    // Frozen for long enough that what was sent meanwhile was given up.
    await new Promise((r) => setTimeout(r, 600))
    process.kill(server!.pid, 'SIGCONT')
    await new Promise((r) => setTimeout(r, 1_500))
    const newcomer = await connected()
    expect(await newcomer.bySlug('meanwhile')).toMatchObject({ status: 'suspended' })
    await expectSoon([watcher], (d) => d.bySlug('meanwhile'), { status: 'suspended' })
  })

  test('a change made while Redis could not be reached holds also when it can', async () => {
    const id = await control.tenant('cut-off')
    await inRedis('cut-off')
    const cable = await startProxy(server!.port)
    const watcher = await connected({ redis: await server!.client(cable.port) })
    await cable.close()
    await control.store.setStatus(id, 'suspended')
    await expectSoon([watcher], (d) => d.bySlug('cut-off'), { status: 'suspended' })
    const again = await startProxy(server!.port, cable.port)
    await new Promise((r) => setTimeout(r, 1_500))
    const newcomer = await connected()
    expect(await newcomer.bySlug('cut-off')).toMatchObject({ status: 'suspended' })
    await again.close()
  })

  test('an old answer that comes back to Redis is not believed by a gateway that saw the change', async () => {
    const id = await control.tenant('old-news')
    await inRedis('old-news')
    const watcher = await connected({ settings: { ttlMs: 200 } })
    const key = await keyOf('old-news')
    const old = (await redis.get(key))!
    await control.store.setStatus(id, 'suspended')
    await expectSoon([watcher], (d) => d.bySlug('old-news'), { status: 'suspended' })
    await redis.flushall()
    await redis.set(key, old)
    for (let n = 0; n < 10; n++) {
      expect(await watcher.bySlug('old-news')).toMatchObject({ status: 'suspended' })
      await new Promise((r) => setTimeout(r, 50))
    }
  })

  test('nor by one that came after the change, and knows better', async () => {
    const id = await control.tenant('older-news')
    await inRedis('older-news')
    const key = await keyOf('older-news')
    const old = (await redis.get(key))!
    const newcomer = await connected({ settings: { ttlMs: 50 } })
    await control.store.setStatus(id, 'suspended')
    await expectSoon([newcomer], (d) => d.bySlug('older-news'), { status: 'suspended' })
    await newcomer.close()
    const later = await connected({ settings: { ttlMs: 50 } })
    expect(await later.bySlug('older-news')).toMatchObject({ status: 'suspended' })
    await redis.flushall()
    await redis.set(key, old)
    await waitUntil('what it knows to be old', () => later.peekSlug('older-news') === undefined)
    expect(await later.bySlug('older-news')).toMatchObject({ status: 'suspended' })
  })
})

describe('a Redis that somebody else writes to', () => {
  test('garbage is passed by', async () => {
    const garbage = [
      '',
      '{',
      'null',
      '[]',
      '"x"',
      '{"value":null}',
      '{"value":{},"asOf":1e15}',
      '{"asOf":"x"}',
      '\u0000',
    ]
    const slugs = garbage.map(() => `garbage-${randomUUID().slice(0, 8)}`)
    for (const slug of slugs) await control.tenant(slug)
    await inRedis(...slugs)
    for (const [n, slug] of slugs.entries()) await redis.set(await keyOf(slug), garbage[n]!)
    const directory = await connected()
    for (const slug of slugs) expect(await directory.bySlug(slug)).toMatchObject({ slug })
    expect(directory.lookups.redisHits).toBe(0)
  })

  test('a value of another type, too', async () => {
    const id = await control.tenant('typed')
    await inRedis('typed')
    const key = await keyOf('typed')
    await redis.del(key)
    await redis.lpush(key, 'x')
    const directory = await connected()
    expect(await directory.bySlug('typed')).toMatchObject({ id })
  })

  test('so does a marker of a change: later ones hold, and so do those of others', async () => {
    for (const [n, write] of [(key: string) => redis.lpush(key, 'x'), (key: string) => redis.set(key, 'x')].entries()) {
      const slug = `marked-${n}`
      const id = await control.tenant(slug)
      await inRedis(slug)
      const key = await keyOf(slug)
      await redis.del(`${key}:changed`)
      await write(`${key}:changed`)
      const watcher = await connected()
      await control.store.setStatus(id, 'suspended')
      await expectSoon([watcher], (d) => d.bySlug(slug), { status: 'suspended' })
      await waitUntil('Redis to be told', async () => Number(await redis.get(`${key}:changed`).catch(() => 0)) > 0)
    }
  })

  test('a record is believed for its time, and not when somebody brings it back', async () => {
    await control.tenant('brought-back')
    const brief = await connected({ settings: { ttlMs: 200 } })
    await brief.bySlug('brought-back')
    await waitUntil('Redis to have it', async () => (await keyOf('brought-back')) !== undefined)
    const key = await keyOf('brought-back')
    const record = (await redis.get(key))!
    await waitUntil('its end', async () => (await redis.get(key)) === null)
    await redis.set(key, record)
    const directory = await connected()
    expect(await directory.bySlug('brought-back')).toMatchObject({ slug: 'brought-back' })
    expect(directory.lookups).toMatchObject({ control: 1, redisHits: 0 })
  })

  test("another tenant's record under a key is not believed, and reaches no other key by it", async () => {
    const victim = await control.tenant('victim')
    const attacker = await control.tenant('attacker')
    await inRedis('victim')
    await inRedis('attacker')
    await redis.set(await keyOf('victim'), (await redis.get(await keyOf('attacker')))!)
    const directory = await connected()
    expect(await directory.bySlug('victim')).toMatchObject({ id: victim, slug: 'victim' })
    expect(await directory.byId(victim)).toMatchObject({ id: victim, slug: 'victim' })
    expect(await directory.byId(attacker)).toMatchObject({ id: attacker, slug: 'attacker' })
  })

  test('a record that somebody changed is not believed: not its placement, its tier nor its status', async () => {
    const id = await control.tenant('forged')
    await control.store.setStatus(id, 'suspended')
    await inRedis('forged')
    const key = await keyOf('forged')
    const text = (await redis.get(key))!
    for (const [from, to] of [
      ['"suspended"', '"active"'],
      ['"free"', '"enterprise"'],
      ['"us-1"', '"us-2"'],
    ] as const) {
      expect(text).toContain(from)
      await redis.set(key, text.replace(from, to))
      const directory = await connected()
      expect(await directory.bySlug('forged')).toMatchObject({ status: 'suspended', tier: 'free' })
      expect((await directory.bySlug('forged'))!.placement!.cluster).toBe('us-1')
    }
  })
})

async function keyOf(slug: string): Promise<string> {
  const keys = await redis.keys(`*slug:${slug}*`)
  return keys.find((k) => !k.endsWith(':changed'))!
}
