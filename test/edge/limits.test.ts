import { once } from 'node:events'
import { get, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { afterAll, describe, expect, test } from 'vitest'
import { secret } from '../../config/index.ts'
import { createAdmission } from '../../gateway/edge/admit.ts'
import { createFailures } from '../../gateway/edge/failures.ts'
import { rateLimitHeaders } from '../../gateway/edge/rate-limit-headers.ts'
import { fullBucket, takeToken, waitForTokensMs } from '../../gateway/edge/token-bucket.ts'
import { makeKeyText } from '../../tiers/keys/text.ts'
import type { TenantId } from '../../tiers/types.ts'
import { peeringOf, startGateway, type TestGateway, testConfig } from './support/gateway.ts'
import { World } from './support/world.ts'

const base = testConfig().tiers.free!.limits
const acme = 'acme' as TenantId
const globex = 'globex' as TenantId

describe('the token bucket', () => {
  test('lets a burst through, then the rate', () => {
    const limits = { requestsPerSecond: 10, burst: 5 }
    const bucket = fullBucket(limits, 0)
    const taken = (now: number) =>
      Array.from({ length: 20 }, () => takeToken(bucket, limits, now)).filter(Boolean).length
    expect(taken(0)).toBe(5)
    expect(waitForTokensMs(bucket, limits, 1)).toBe(100)
    expect(taken(100)).toBe(1)
    expect(taken(1_000)).toBe(5)
  })

  test('a clock that jumps back gives nothing away', () => {
    const limits = { requestsPerSecond: 10, burst: 1 }
    const bucket = fullBucket(limits, 10_000)
    expect(takeToken(bucket, limits, 10_000)).toBe(true)
    expect(takeToken(bucket, limits, 0)).toBe(false)
  })
})

describe('admission', () => {
  const admissionAt = (clock: { now: number }) => createAdmission({ shared: null, now: () => clock.now })

  test('one tenant at its rate leaves another alone, and is told when to come back', () => {
    const clock = { now: 0 }
    const { admit } = admissionAt(clock)
    const limits = { ...base, requestsPerSecond: 2, burst: 2 }
    admit(acme, limits)
    admit(acme, limits)
    expect(() => admit(acme, limits)).toThrow(expect.objectContaining({ code: 'rate_limited', retryAfterMs: 500 }))
    admit(globex, limits)
    clock.now = 500
    admit(acme, limits)
  })

  test('the quota of a day starts again at midnight UTC', () => {
    const clock = { now: Date.UTC(2026, 0, 1, 23, 59, 0) }
    const { admit } = admissionAt(clock)
    const limits = { ...base, requestsPerDay: 2 }
    admit(acme, limits)
    admit(acme, limits)
    expect(() => admit(acme, limits)).toThrow(expect.objectContaining({ code: 'quota_exceeded', retryAfterMs: 60_000 }))
    clock.now += 60_000
    admit(acme, limits)
  })

  test('no more requests at once than the tier allows; one that ends makes room', () => {
    const { admit, release } = admissionAt({ now: 0 })
    const limits = { ...base, concurrency: 2 }
    const first = admit(acme, limits)
    admit(acme, limits)
    expect(() => admit(acme, limits)).toThrow(expect.objectContaining({ code: 'rate_limited' }))
    release(first)
    admit(acme, limits)
  })

  test('a change of tier holds from the next request', () => {
    const { admit } = admissionAt({ now: 0 })
    admit(acme, { ...base, concurrency: 1 })
    admit(acme, { ...base, concurrency: 2 })
  })

  test('the headers say what is left', () => {
    const { admit } = admissionAt({ now: 0 })
    const limits = { ...base, requestsPerSecond: 10, burst: 50 }
    admit(acme, limits)
    expect(rateLimitHeaders(limits, admit(acme, limits))).toEqual({
      'ratelimit-policy': '"tenant";q=50;w=5',
      ratelimit: '"tenant";r=48;t=1',
    })
  })
})

describe('failed authentication', () => {
  test('an address that fails too often waits, and its neighbours do not', () => {
    let now = 0
    const failures = createFailures(() => now)
    for (let i = 0; i < 60; i++) failures.failed('1.2.3.4')
    expect(() => failures.check('1.2.3.4', 'x')).toThrow(expect.objectContaining({ code: 'rate_limited' }))
    failures.check('1.2.3.5', 'x')
    now += 60_000
    failures.check('1.2.3.4', 'x')
  })

  test('whoever proved itself from there before goes on being served', () => {
    const failures = createFailures(() => 0)
    failures.proved('1.2.3.4', 'acme')
    for (let i = 0; i < 60; i++) failures.failed('1.2.3.4')
    failures.check('1.2.3.4', 'acme')
    expect(() => failures.check('1.2.3.4', 'globex')).toThrow(/Too many/)
  })

  test('an IPv6 network of 64 bits counts as one address', () => {
    const failures = createFailures(() => 0)
    for (let i = 0; i < 60; i++) failures.failed(`2001:db8:1:2::${i.toString(16)}`)
    expect(() => failures.check('2001:db8:1:2:ffff::1', 'x')).toThrow(/Too many/)
    failures.check('2001:db8:1:3::1', 'x')
  })
})

describe('over HTTP', () => {
  const world = new World()
  const [begun, finish] = [Promise.withResolvers<void>(), Promise.withResolvers<object>()]
  let gateway: TestGateway
  afterAll(() => gateway.close())

  test('429 has Retry-After, and every answer the RateLimit headers', async () => {
    gateway = await startGateway({
      world,
      config: {
        tiers: {
          free: { isolation: 'shared', limits: { requestsPerSecond: 0.5, burst: 2, concurrency: 1 } },
        },
      },
      routes(app) {
        app.get('/slow', async (c) => {
          begun.resolve()
          return c.json(await finish.promise)
        })
        app.get('/endless', (c) => c.body(new ReadableStream({ start: (stream) => stream.enqueue(Buffer.from('a')) })))
      },
    })
    const key = world.key(world.tenant('acme'))
    const first = await gateway.ask('/v1/whoami', { apikey: key })
    expect(first.headers).toMatchObject({ ratelimit: '"tenant";r=1;t=2', 'ratelimit-policy': '"tenant";q=2;w=4' })
    await gateway.ask('/v1/whoami', { apikey: key })
    const third = await gateway.ask('/v1/whoami', { apikey: key })
    expect(third.status).toBe(429)
    expect(third.json.code).toBe('rate_limited')
    expect(third.headers['retry-after']).toBe('2')
    expect(third.headers).toMatchObject({ 'ratelimit-limit': '2', 'ratelimit-remaining': '0', 'ratelimit-reset': '4' })
  })

  test('concurrency counts requests under way, and forgets those that are over', async () => {
    const key = world.key(world.tenant('globex'))
    const slow = gateway.ask('/slow', { apikey: key })
    await begun.promise
    expect((await gateway.ask('/slow', { apikey: key })).status).toBe(429)
    finish.resolve({})
    expect((await slow).status).toBe(200)
    expect((await gateway.ask('/v1/whoami', { apikey: key })).status).toBe(200)
  })

  test('an answer that its client does not take is under way until it is taken', async () => {
    const huge = await startGateway({
      world,
      config: { tiers: { free: { isolation: 'shared', limits: { concurrency: 1 } } } },
      routes: (app) => app.get('/huge', (c) => c.text('x'.repeat(64 * 1024 * 1024))),
    })
    const apikey = world.key(world.tenant('umbrella'))
    const { promise: begun, resolve } = Promise.withResolvers<IncomingMessage>()
    get(`${huge.url}/huge`, { headers: { apikey } }, resolve)
    const answer = await begun
    expect((await huge.ask('/v1/whoami', { apikey })).json).toMatchObject({ code: 'rate_limited' })
    await answer.resume().toArray()
    expect((await huge.ask('/v1/whoami', { apikey })).status).toBe(200)
    await huge.close()
  })

  test('an answer that nobody takes any of keeps its place for as long as a request may take, and no longer', async () => {
    const huge = await startGateway({
      world,
      config: {
        http: { requestTimeoutMs: 300 },
        tiers: { free: { isolation: 'shared', limits: { concurrency: 1 } } },
      },
      routes: (app) => app.get('/huge', (c) => c.text('x'.repeat(64 * 1024 * 1024))),
    })
    const apikey = world.key(world.tenant('umbrella'))
    const { promise: begun, resolve } = Promise.withResolvers<IncomingMessage>()
    get(`${huge.url}/huge`, { headers: { apikey } }, resolve)
    const answer = await begun
    answer.on('error', () => {})
    expect((await huge.ask('/v1/whoami', { apikey })).json).toMatchObject({ code: 'rate_limited' })
    await expect.poll(async () => (await huge.ask('/v1/whoami', { apikey })).status, { timeout: 10_000 }).toBe(200)
    await huge.close()
  })

  test('whoever leaves while its tenant is looked up keeps no place on the way to another region', async () => {
    const [left, asked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const away = new World()
    const tenant = away.tenant('stark', { region: 'eu', away: 'forward' })
    away.byId = async () => {
      asked.resolve()
      await left.promise
      return tenant
    }
    const region = (name: 'us' | 'eu') => ({
      url: `http://${name}.example.com`,
      peerUrl: 'http://127.0.0.1:1',
      key: secret(`KEY_${name.toUpperCase()}`),
      peering: peeringOf(name),
      clusters: { [`${name}-1`]: { url: secret('CLUSTER'), adminUrl: secret('CLUSTER') } },
    })
    const gateway = await startGateway({
      world: away,
      config: {
        regions: { us: region('us'), eu: region('eu') },
        tiers: { free: { isolation: 'shared', limits: { concurrency: 1 } } },
      },
    })
    const apikey = away.key(tenant)
    const socket = connect(gateway.port, '127.0.0.1').resume()
    socket.write(`GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\napikey: ${apikey}\r\n\r\n`)
    await asked.promise
    await new Promise((resolve) => socket.end().once('close', resolve))
    left.resolve()
    expect((await gateway.ask('/v1/whoami', { apikey })).json.code).toBe('region_unavailable')
    expect((await gateway.ask('/v1/whoami', { apikey })).json.code).toBe('region_unavailable')
    await gateway.close()
  })

  test('a request is under way until its answer has left, however long that is after its handler', async () => {
    const key = world.key(world.tenant('umbrella'))
    const streaming = request({ port: gateway.port, path: '/endless', headers: { apikey: key } }).end()
    await once(streaming, 'response')
    expect((await gateway.ask('/endless', { apikey: key })).status).toBe(429)
    streaming.destroy()
    await expect.poll(async () => (await gateway.ask('/v1/whoami', { apikey: key })).status).toBe(200)
  })

  test('guessing keys ends in 429, while a good key from the same address goes on', async () => {
    const tenant = world.tenant('initech')
    const key = world.key(tenant)
    await gateway.ask('/v1/whoami', { apikey: key })
    const other = world.tenant('stark')
    const guesses = []
    for (let i = 0; i < 70; i++)
      guesses.push((await gateway.ask('/v1/whoami', { apikey: makeKeyText(other.id) })).status)
    expect(guesses.at(0)).toBe(401)
    expect(guesses.at(-1)).toBe(429)
    expect((await gateway.ask('/v1/whoami', { apikey: key })).status).toBe(200)
  })

  test('a credential, good or made up, does not make the directory look for any number of names', async () => {
    const asked = await startGateway({ world })
    const [mine, away] = [world.tenant('wayne'), world.tenant('hooli', { region: 'eu' })]
    for (const apikey of [world.key(mine), makeKeyText(away.id)]) {
      let status = 0
      for (let i = 0; i < 1_000 && status !== 429; i++) {
        status = (await asked.ask('/v1/whoami', { apikey, host: `${i}.example.org` })).status
      }
      expect(status).toBe(429)
      // What is plainly its own is not looked up.
      expect((await asked.ask('/v1/whoami', { apikey })).status).not.toBe(429)
      const neighbour = { apikey: world.key(world.tenant('nakatomi')), host: 'nobody.example.org' }
      expect((await asked.ask('/v1/whoami', neighbour)).status).toBe(404)
    }
    await asked.close()
  })
})
