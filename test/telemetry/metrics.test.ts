import { once } from 'node:events'
import { request } from 'node:http'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { createTelemetry } from '../../gateway/telemetry/telemetry.ts'
import { type TenantAttributes, tenantAttributes } from '../../tiers/telemetry.ts'
import { startGateway, testConfig } from '../edge/support/gateway.ts'
import { World } from '../edge/support/world.ts'

const world = new World()

function telemetryWith(tenantLabelsMax: number) {
  const { telemetry } = testConfig({ telemetry: { tenantLabelsMax, logLevel: 'silent' } })
  return createTelemetry(telemetry, { service: 'test', region: 'us' })
}

/** The value of the series whose labels include all of these. */
function sample(text: string, name: string, labels: Record<string, string>): number | null {
  const line = text
    .split('\n')
    .find((l) => l.startsWith(`${name}{`) && Object.entries(labels).every(([k, v]) => l.includes(`${k}="${v}"`)))
  return line === undefined ? null : Number(line.split('} ')[1]?.split(' ')[0])
}

test('requests are counted by tenant, class, code and owner, those without a tenant too', async () => {
  const gateway = await startGateway({ world })
  const acme = world.tenant('acme')
  const key = world.key(acme, ['read'])
  for (let i = 0; i < 3; i++) await gateway.ask('/v1/whoami', { apikey: key })
  await gateway.ask('/echo', { apikey: key }, { method: 'POST', body: 'x' })
  await gateway.ask('/v1/whoami')
  await expect.poll(() => gateway.logs.length).toBe(5)
  const text = await gateway.telemetry.prometheusText()
  const mine = { tenant_id: acme.id, tenant_slug: 'acme', tenant_tier: 'free', tenant_region: 'us' }
  expect(sample(text, 'http_requests_total', { ...mine, code: '2xx', error: '' })).toBe(3)
  expect(sample(text, 'http_requests_total', { ...mine, code: '4xx', error: 'forbidden', owner: 'client' })).toBe(1)
  expect(sample(text, 'http_requests_total', { tenant_id: 'none', error: 'unauthenticated' })).toBe(1)
  expect(sample(text, 'http_request_duration_seconds_count', { tenant_tier: 'free' })).toBe(4)
  expect(sample(text, 'tenant_bytes_out_total', mine)).toBeGreaterThan(1_000)
  await gateway.close()
})

test('bytes are counted that came, and not those that a client announces', async () => {
  const gateway = await startGateway({ world })
  const counted = world.tenant('counted')
  const headers = { apikey: world.key(counted) }
  await gateway.ask('/echo', { ...headers, 'content-length': '1000' }, { method: 'POST', body: 'x'.repeat(1_000) })
  const announcing = request({ port: gateway.port, path: '/echo', method: 'POST' })
  for (const [name, value] of Object.entries(headers)) announcing.setHeader(name, value)
  announcing.setHeader('content-length', String(Number.MAX_SAFE_INTEGER)).flushHeaders()
  expect((await once(announcing, 'response'))[0].statusCode).toBe(413)
  announcing.on('error', () => {}).destroy()
  await expect.poll(() => gateway.logs.length).toBe(2)
  const text = await gateway.telemetry.prometheusText()
  expect(sample(text, 'tenant_bytes_in_total', { tenant_id: counted.id })).toBe(1_000)
  await gateway.close()
})

test('tenants beyond the limit share one label', async () => {
  const telemetry = telemetryWith(2)
  for (let i = 0; i < 10; i++) telemetry.observer.count('db.rows', 1, tenantAttributes(world.tenant(`t${i}`)))
  const text = await telemetry.prometheusText()
  const series = text.split('\n').filter((l) => l.startsWith('db_rows_total{'))
  expect(series).toHaveLength(3)
  expect(sample(text, 'db_rows_total', { tenant_id: 'other', tenant_slug: 'other' })).toBe(8)
  await telemetry.shutdown()
})

test('the sum over thousands of tenants is right, and none is lost to a limit of the SDK', async () => {
  const telemetry = telemetryWith(2_500)
  const all = Array.from({ length: 3_000 }, (_, i) => tenantAttributes(world.tenant(`many${i}`)))
  for (let round = 0; round < 3; round++) for (const a of all) telemetry.observer.count('db.rows', 2, a)
  const lines = (await telemetry.prometheusText()).split('\n').filter((l) => l.startsWith('db_rows_total{'))
  expect(lines).toHaveLength(2_501)
  expect(lines.reduce((sum, l) => sum + Number(l.split('} ')[1]!.split(' ')[0]), 0)).toBe(18_000)
  await telemetry.shutdown()
})

test('durations come in milliseconds and are reported in seconds, by tier as a histogram and by tenant as a sum', async () => {
  const telemetry = telemetryWith(10)
  const acme = tenantAttributes(world.tenant('acme'))
  telemetry.observer.record('db.timeMs', 30, acme)
  telemetry.observer.record('db.timeMs', 70, acme)
  telemetry.observer.record('pool.waitMs', 2, { ...acme, cluster: 'us-1' } as TenantAttributes)
  const text = await telemetry.prometheusText()
  expect(sample(text, 'db_time_seconds_count', { tenant_tier: 'free' })).toBe(2)
  expect(sample(text, 'db_time_seconds_bucket', { tenant_tier: 'free', le: '0.05' })).toBe(1)
  expect(sample(text, 'tenant_db_time_seconds_total', { tenant_id: acme.tenant_id })).toBeCloseTo(0.1)
  expect(sample(text, 'pool_wait_seconds_sum', { cluster: 'us-1' })).toBeCloseTo(0.002)
  expect(text).not.toMatch(/db_time_seconds_bucket\{[^}]*tenant_id/)
  await telemetry.shutdown()
})

test('gauges are read when metrics are collected, until they are taken away', async () => {
  const telemetry = telemetryWith(10)
  let open = 3
  const remove = telemetry.observer.gauge('pool.connections', () => [
    { value: open, attributes: { cluster: 'us-1', state: 'open' } },
  ])
  expect(sample(await telemetry.prometheusText(), 'pool_connections', { cluster: 'us-1' })).toBe(3)
  open = 5
  expect(sample(await telemetry.prometheusText(), 'pool_connections', { cluster: 'us-1' })).toBe(5)
  remove()
  expect(sample(await telemetry.prometheusText(), 'pool_connections', { cluster: 'us-1' })).toBe(0)
  await telemetry.shutdown()
})

test('two gateways in one process have metrics of their own', async () => {
  const [a, b] = [telemetryWith(10), telemetryWith(10)]
  a.observer.count('db.rows', 1, {})
  expect(await b.prometheusText()).not.toContain('db_rows_total')
  await Promise.all([a.shutdown(), b.shutdown()])
})

test("the data API's own errors are counted by their code, and what nobody knows as internal", async () => {
  const gateway = await startGateway({
    world,
    routes(app) {
      const fail = (fields: object) => () => {
        throw Object.assign(new Error('x'), fields)
      }
      const rest = new Hono()
      rest.get('/single', fail({ code: 'PGRST116', status: 406 }))
      rest.get('/unique', fail({ code: '23505', status: 409 }))
      rest.get('/odd', fail({ code: 'ann@example.com', status: 400 }))
      rest.onError((error, c) => c.text('no', (error as unknown as { status: 400 }).status))
      app.route('/rest', rest)
    },
  })
  const key = world.key(world.tenant('dialect'))
  for (const path of ['/rest/single', '/rest/unique', '/rest/odd']) await gateway.ask(path, { apikey: key })
  await expect.poll(() => gateway.logs.map((l) => l.error)).toEqual(['PGRST116', '23505', 'internal'])
  const text = await gateway.telemetry.prometheusText()
  expect(sample(text, 'http_requests_total', { error: 'PGRST116', owner: 'client', code: '4xx' })).toBe(1)
  expect(text).not.toContain('ann@example.com')
  await gateway.close()
})
