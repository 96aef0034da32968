import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { type ConfigInput, secret } from '../../config/index.ts'
import { createHopKeys } from '../../gateway/edge/away/hop-keys.ts'
import { createHopTokens, HOP_HEADER } from '../../gateway/edge/away/hop-token.ts'
import { ownNonces } from '../../gateway/edge/away/nonces.ts'
import type { Tenant, TenantId } from '../../tiers/types.ts'
import { peeringOf, startGateway, testConfig } from './support/gateway.ts'
import { World } from './support/world.ts'

/** A directory whose answer can be kept waiting. */
class SlowWorld extends World {
  gate: Promise<unknown> = Promise.resolve()
  override async byId(id: TenantId): Promise<Tenant | null> {
    const found = await super.byId(id)
    await this.gate
    return found
  }
}

/** Two regions that forward to each other. */
function peered(euUrl = 'http://eu.test'): Partial<ConfigInput> {
  const clusters = { url: secret('CLUSTER'), adminUrl: secret('CLUSTER') }
  const us = { key: secret('KEY_US'), clusters: { 'us-1': clusters }, peering: peeringOf('us') }
  const eu = { key: secret('KEY_EU'), clusters: { 'eu-1': clusters }, peering: peeringOf('eu') }
  return {
    regions: { us: { url: 'http://us.test', ...us }, eu: { url: euUrl, ...eu } },
    tiers: { free: { isolation: 'shared', away: 'forward', limits: { concurrency: 1 } } },
    // Longer than a test may take: one that waits for nobody does not end.
    http: { drainMs: 600_000 },
  }
}

test('a client that goes away before its request is forwarded gives its place back', async () => {
  const home = createServer((_request, response) => response.end('home')).listen(0, '127.0.0.1')
  await once(home, 'listening')
  const world = new SlowWorld()
  const config = peered(`http://127.0.0.1:${(home.address() as AddressInfo).port}`)
  const gateway = await startGateway({ world, config })
  const apikey = world.key(world.tenant('umbrella', { region: 'eu' }))
  const gate = Promise.withResolvers<void>()
  world.gate = gate.promise
  const left = request({ port: gateway.port, path: '/v1/whoami', headers: { apikey } }).on('error', () => {})
  left.end()
  await expect.poll(() => world.calls).toContain('byId')
  left.destroy()
  await expect.poll(() => gateway.logs.some((line) => line.status === 499)).toBe(true)
  gate.resolve()
  expect((await gateway.ask('/v1/whoami', { apikey })).text).toBe('home')
  await gateway.close()
  home.close()
})

test('a client that goes away before anybody has looked at its request is waited for by nobody', async () => {
  const world = new World()
  const redis = { status: 'ready', set: () => new Promise(() => {}) } as unknown as Redis
  const gateway = await startGateway({ world, region: 'eu', config: peered(), redis })
  const umbrella = world.tenant('umbrella', { region: 'eu' })
  const tokens = createHopTokens({
    keys: createHopKeys(testConfig(peered()), 'us')!,
    nonces: ownNonces(1_000, Date.now),
    hopTtlMs: 10_000,
    now: Date.now,
  })
  const headers = ['host', 'localhost', 'apikey', world.key(umbrella)]
  const asked = { method: 'GET', target: '/v1/whoami', host: 'localhost', headers }
  const hop = { tenant: umbrella.id, to: 'eu', requestId: 'request-1', clientIp: '203.0.113.7' }
  const sent = [...headers, HOP_HEADER, tokens.seal(hop, asked)]
  const left = request({ port: gateway.port, path: asked.target, headers: sent }).on('error', () => {})
  left.end()
  await once(left, 'finish')
  await gateway.ask('/healthz')
  left.destroy()
  await expect.poll(() => gateway.logs.some((line) => line.forwarded_from === 'us')).toBe(true)
  await gateway.edge.drain()
  await gateway.close()
})

test('a client that goes away in the middle of its body is no fault of ours', async () => {
  const world = new World()
  const gateway = await startGateway({ world })
  const apikey = world.key(world.tenant('acme'))
  for (const length of [{ 'content-length': '9' }, { 'transfer-encoding': 'chunked' }]) {
    const headers = { apikey, expect: '100-continue', ...length }
    const left = request({ port: gateway.port, path: '/echo', method: 'POST', headers }).on('error', () => {})
    left.flushHeaders()
    await once(left, 'continue')
    left.destroy()
  }
  await expect.poll(() => gateway.logs.filter((line) => line.status === 499)).toHaveLength(2)
  expect(gateway.logs.filter((line) => line.level === 'error' || line.owner === 'platform')).toEqual([])
  await gateway.close()
})

test('a client that never gets on with its body gives its place back', async () => {
  const world = new World()
  const tiers = { free: { isolation: 'shared', limits: { concurrency: 1 } } } as const
  const gateway = await startGateway({ world, config: { tiers, http: { requestTimeoutMs: 200 } } })
  const apikey = world.key(world.tenant('acme'))
  for (const length of [{ 'content-length': '9' }, { 'transfer-encoding': 'chunked' }]) {
    const headers = { apikey, ...length }
    const slow = request({ port: gateway.port, path: '/echo', method: 'POST', headers }).on('error', () => {})
    slow.write('abc')
    expect((await once(slow, 'response'))[0].statusCode).toBe(408)
    await expect.poll(async () => (await gateway.ask('/v1/whoami', { apikey })).status).toBe(200)
  }
  await gateway.close()
})
