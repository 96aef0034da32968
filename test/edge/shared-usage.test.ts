import { Redis } from 'ioredis'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAdmission } from '../../gateway/edge/admit.ts'
import { createSharedUsage } from '../../gateway/edge/shared-usage.ts'
import { isInnkeeperError } from '../../tiers/errors.ts'
import type { TenantId } from '../../tiers/types.ts'
import { startTestRedis, type TestRedis } from '../support/redis.ts'
import { waitUntil } from '../support/wait.ts'
import { testConfig } from './support/gateway.ts'

const base = testConfig().tiers.free!.limits
let server: TestRedis | null
let redis: Redis

beforeAll(async () => {
  server = await startTestRedis()
  if (server !== null) redis = new Redis(server.url, { maxRetriesPerRequest: 1, retryStrategy: () => 50 })
  redis?.on('error', () => {})
})
afterAll(async () => {
  redis?.disconnect()
  await server?.stop()
})

function gatewayOver(client: Redis) {
  const log = pino({ level: 'silent' })
  const shared = createSharedUsage({ redis: client, region: 'us', log, now: Date.now, intervalMs: 20 })
  return { ...createAdmission({ shared, now: Date.now }), shared }
}

function tries(gateway: ReturnType<typeof gatewayOver>, tenant: TenantId, limits: typeof base): string {
  try {
    gateway.release(gateway.admit(tenant, limits))
    return 'in'
  } catch (error) {
    if (isInnkeeperError(error)) return error.code
    throw error
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test('two gateways together let a tenant have its rate, not twice that', async (context) => {
  if (server === null) return context.skip()
  const limits = { ...base, requestsPerSecond: 100, burst: 50 }
  const gateways = [gatewayOver(redis), gatewayOver(redis)]
  const tenant = `rate-${Date.now()}` as TenantId
  let admitted = 0
  const seconds = 2
  const until = Date.now() + seconds * 1000
  while (Date.now() < until) {
    for (const gateway of gateways) if (tries(gateway, tenant, limits) === 'in') admitted++
    await sleep(3)
  }
  const fair = limits.burst + limits.requestsPerSecond * seconds
  // Alone each would have let the whole of it in. What they cannot know of each other at once is a burst, at the most.
  expect(admitted).toBeLessThan(fair + limits.burst + 20)
  expect(admitted).toBeGreaterThan(fair * 0.6)
  await Promise.all(gateways.map((g) => g.shared.close()))
})

test('a gateway that was idle is not made to pay for what the others did meanwhile', async (context) => {
  if (server === null) return context.skip()
  const limits = { ...base, requestsPerSecond: 200, burst: 20 }
  const [busy, idle] = [gatewayOver(redis), gatewayOver(redis)]
  const tenant = `idle-${Date.now()}` as TenantId
  tries(idle, tenant, limits)
  const until = Date.now() + 1_000
  while (Date.now() < until) {
    tries(busy, tenant, limits)
    await sleep(10)
  }
  const answers = []
  for (let i = 0; i < 10; i++) {
    answers.push(tries(idle, tenant, limits))
    await sleep(15)
  }
  expect(answers.filter((a) => a === 'in').length).toBeGreaterThan(7)
  await Promise.all([busy, idle].map((g) => g.shared.close()))
})

test('a clock that is set back keeps nobody out', async (context) => {
  if (server === null) return context.skip()
  let nowMs = Date.now()
  const now = () => nowMs
  const shared = createSharedUsage({ redis, region: 'us', log: pino({ level: 'silent' }), now, intervalMs: 600_000 })
  const gateway = { ...createAdmission({ shared, now }), shared }
  const tenant = `clock-${nowMs}` as TenantId
  const limits = { ...base, requestsPerSecond: 10, burst: 20 }
  for (let i = 0; i < 3; i++) {
    expect(tries(gateway, tenant, limits)).toBe('in')
    // Closing exchanges what there is.
    await shared.close()
    nowMs -= 3_600_000
  }
})

test('the quota of a day is one for all gateways, and outlives them', async (context) => {
  if (server === null) return context.skip()
  const limits = { ...base, requestsPerSecond: 1_000, burst: 1_000, requestsPerDay: 200 }
  const tenant = `day-${Date.now()}` as TenantId
  const first = gatewayOver(redis)
  for (let i = 0; i < 200; i++) expect(tries(first, tenant, limits)).toBe('in')
  expect(tries(first, tenant, limits)).toBe('quota_exceeded')
  await first.shared.close()
  const second = gatewayOver(redis)
  let admitted = 0
  await waitUntil('the second to hear of it', () => {
    const answer = tries(second, tenant, limits)
    if (answer === 'in') admitted++
    return answer === 'quota_exceeded'
  })
  // By itself it would have come to an end too, a day's worth later.
  expect(admitted).toBeLessThan(limits.requestsPerDay)
  await second.shared.close()
})

test('a Redis that is gone neither fails a request nor holds it up, and limits still hold', async () => {
  const gone = new Redis({ host: '127.0.0.1', port: 1, retryStrategy: () => 50, lazyConnect: true })
  gone.on('error', () => {})
  gone.connect().catch(() => {})
  const gateway = gatewayOver(gone)
  const limits = { ...base, requestsPerSecond: 1, burst: 5, requestsPerDay: 6 }
  const tenant = 'gone' as TenantId
  const answers = Array.from({ length: 7 }, () => tries(gateway, tenant, limits))
  expect(answers).toEqual(['in', 'in', 'in', 'in', 'in', 'rate_limited', 'rate_limited'])
  await sleep(1_100)
  expect(tries(gateway, tenant, limits)).toBe('in')
  await sleep(50)
  expect(tries(gateway, tenant, limits)).toBe('quota_exceeded')
  await gateway.shared.close()
  gone.disconnect()
})
