import { afterEach, beforeEach, expect, test } from 'vitest'
import { secret } from '../../config/index.ts'
import { peeringOf, startGateway, type TestGateway } from '../edge/support/gateway.ts'
import { World } from '../edge/support/world.ts'
import { startTap, type Tap } from '../support/tap.ts'
import { type Collector, startCollector } from './collector.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const STRANGER = `00-${TRACE}-b7ad6b7169203331-01`

let collector: Collector
let tap: Tap
let us: TestGateway
let eu: TestGateway
const world = new World()
const key = world.key(world.tenant('umbrella', { region: 'eu', away: 'forward' }))

beforeEach(async () => {
  collector = await startCollector()
  tap = await startTap()
  const region = (peerUrl: string, name: 'us' | 'eu') => ({
    url: `http://${name}.example.com`,
    peerUrl,
    key: secret(`KEY_${name.toUpperCase()}`),
    peering: peeringOf(name),
    clusters: { [`${name}-1`]: { url: secret('CLUSTER'), adminUrl: secret('CLUSTER') } },
  })
  const config = {
    regions: { us: region('http://127.0.0.1:1', 'us'), eu: region(tap.url, 'eu') },
    telemetry: { otlpUrl: collector.url },
  }
  us = await startGateway({ world, config, region: 'us' })
  eu = await startGateway({ world, config, region: 'eu' })
  tap.target = eu.port
})
afterEach(async () => {
  await tap.close()
  await collector.close()
})

test('a forwarded request is one trace through both gateways, and the client cannot choose which', async () => {
  expect((await us.ask('/v1/whoami', { apikey: key, traceparent: STRANGER })).status).toBe(200)
  await us.close()
  await eu.close()
  const spans = collector.spans()
  const hop = spans.find((s) => s.name === 'hop')!
  const [here, home] = [hop.parentSpanId, hop.spanId].map((id, i) =>
    spans.find((s) => s.name.startsWith('GET') && (i === 0 ? s.spanId : s.parentSpanId) === id),
  )
  expect(hop.attributes).toMatchObject({ 'hop.from': 'us', 'hop.to': 'eu', 'http.response.status_code': 200 })
  expect(home!.attributes).toMatchObject({ forwarded_from: 'us', tenant_slug: 'umbrella' })
  expect(new Set(spans.map((s) => s.traceId)).size).toBe(1)
  expect(hop.traceId).not.toBe(TRACE)
  expect(here!.links).toEqual([TRACE])
  expect(home!.links).toEqual([])
})

test('a hop that fails is a failed span, and its request names region_unavailable', async () => {
  tap.target = null
  expect((await us.ask('/v1/whoami', { apikey: key })).json.code).toBe('region_unavailable')
  await us.close()
  await eu.close()
  const spans = collector.spans()
  expect(spans.find((s) => s.name === 'hop')!.status).toBe(2)
  const request = spans.find((s) => s.name.startsWith('GET'))!
  expect(request.attributes).toMatchObject({ 'error.type': 'region_unavailable', 'error.owner': 'upstream' })
})
