import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { InnkeeperError } from '../../tiers/errors.ts'
import { startGateway, type TestGateway } from '../edge/support/gateway.ts'
import { World } from '../edge/support/world.ts'
import { type Collector, startCollector } from './collector.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`

let collector: Collector
let gateway: TestGateway
const world = new World()
const acme = world.tenant('acme')
const key = world.key(acme)

beforeEach(async () => {
  collector = await startCollector()
})
afterEach(() => collector.close())

async function start(more: { traceRatio?: number; trustedPeers?: string[] } = {}): Promise<void> {
  const { traceRatio = 1, trustedPeers = [] } = more
  gateway = await startGateway({
    world,
    config: { telemetry: { otlpUrl: collector.url, traceRatio }, identify: { trustedPeers } },
    routes(app) {
      app.get('/tickets', async (c) => {
        const { observer } = gateway.telemetry
        await observer.span('pool.wait', { cluster: 'us-1' }, async () => {})
        const rows = await observer.span('transaction', {}, () =>
          observer.span('statement', { 'db.query.text': 'select $1' }, async () => sleep(5, [{ id: 1 }])),
        )
        return c.json(rows)
      })
      app.get('/broken', async () => {
        const fail = async () => Promise.reject(new InnkeeperError('statement_timeout', 'too slow'))
        await gateway.telemetry.observer.span('statement', {}, fail)
        throw new Error('not reached')
      })
    },
  })
}

/** Closing sends what is left. */
async function collected() {
  await gateway.close()
  return collector.spans()
}

test('a request is a trace: its spans nest, and each names the tenant', async () => {
  await start()
  await gateway.ask('/tickets', { apikey: key })
  const spans = await collected()
  expect(spans.map((s) => s.name).sort()).toEqual(['GET /tickets', 'pool.wait', 'statement', 'transaction'])
  const span = (name: string) => spans.find((s) => s.name === name)!
  expect(span('GET /tickets').parentSpanId).toBeNull()
  expect(span('pool.wait').parentSpanId).toBe(span('GET /tickets').spanId)
  expect(span('transaction').parentSpanId).toBe(span('GET /tickets').spanId)
  expect(span('statement').parentSpanId).toBe(span('transaction').spanId)
  for (const s of spans) {
    expect(s.traceId).toBe(span('GET /tickets').traceId)
    expect(s.attributes).toMatchObject({ tenant_id: acme.id, tenant_tier: 'free', tenant_region: 'us' })
  }
  expect(span('statement').attributes['db.query.text']).toBe('select $1')
  const line = gateway.logs.find((l) => l.path === '/tickets')
  expect(line).toMatchObject({ trace_id: span('GET /tickets').traceId, tenant_id: acme.id })
})

test('two requests at once do not mix their spans', async () => {
  await start()
  const other = world.tenant(`other-${Date.now()}`)
  const otherKey = world.key(other)
  await Promise.all([key, otherKey, key, otherKey].map((k) => gateway.ask('/tickets', { apikey: k })))
  const spans = await collected()
  const traces = Map.groupBy(spans, (s) => s.traceId)
  expect(traces.size).toBe(4)
  for (const trace of traces.values()) {
    expect(trace).toHaveLength(4)
    expect(new Set(trace.map((s) => s.attributes.tenant_id)).size).toBe(1)
  }
})

test('an error is on the span by its code, and without its message', async () => {
  await start()
  await gateway.ask('/broken', { apikey: key })
  const spans = await collected()
  expect(spans.find((s) => s.name === 'statement')).toMatchObject({ status: 2 })
  expect(spans.find((s) => s.name === 'GET /broken')).toMatchObject({
    status: 2,
    attributes: { 'error.type': 'statement_timeout', 'error.owner': 'tenant' },
  })
  expect(JSON.stringify(spans)).not.toContain('too slow')
})

test('a trusted peer says which trace a request belongs to; a stranger is only linked', async () => {
  await start({ trustedPeers: ['127.0.0.1'] })
  await gateway.ask('/v1/whoami', { apikey: key, traceparent: TRACEPARENT })
  expect((await collected()).map((s) => s.traceId)).toEqual([TRACE])

  await start()
  await gateway.ask('/v1/whoami', { apikey: key, traceparent: TRACEPARENT })
  const stranger = (await collected()).at(-1)!
  expect(stranger.traceId).not.toBe(TRACE)
  expect(stranger.links).toEqual([TRACE])
})

test('a traceparent that is none is ignored', async () => {
  await start({ trustedPeers: ['127.0.0.1'] })
  for (const traceparent of [
    'x',
    `ff-${TRACE}-b7ad6b7169203331-01`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `${TRACEPARENT}-x`,
  ]) {
    expect((await gateway.ask('/v1/whoami', { apikey: key, traceparent })).status).toBe(200)
  }
  for (const span of await collected()) expect(span.parentSpanId).toBeNull()
})

test('what is not sampled makes no spans, except where a trusted peer has sampled it', async () => {
  await start({ traceRatio: 0, trustedPeers: ['127.0.0.1'] })
  await gateway.ask('/tickets', { apikey: key })
  await gateway.ask('/tickets', { apikey: key, traceparent: TRACEPARENT })
  const spans = await collected()
  expect(new Set(spans.map((s) => s.traceId))).toEqual(new Set([TRACE]))
  expect(spans).toHaveLength(4)
})

test('metrics are sent too', async () => {
  await start()
  await gateway.ask('/v1/whoami', { apikey: key })
  await gateway.close()
  expect(collector.metrics()).toContain('http_requests_total')
})

test('a collector that is gone holds up neither a request nor the shutdown', async () => {
  await start()
  await collector.close()
  expect((await gateway.ask('/tickets', { apikey: key })).status).toBe(200)
  const startedMs = performance.now()
  await gateway.close()
  expect(performance.now() - startedMs).toBeLessThan(20_000)
})
