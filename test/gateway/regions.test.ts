import { createClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Config, ConfigError, resolveConfig } from '../../config/index.ts'
import { makeKeyText } from '../../tiers/keys/text.ts'
import type { TenantId } from '../../tiers/types.ts'
import { BUSY } from '../support/busy.ts'
import type { TestRegion } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'
import { SECRETS, startWorld, type TestGateway, type World } from './support.ts'

/** The control database is on the server of `us`, so its end is an outage of the directory for `eu`. */
const TENANTS = [
  { slug: 'acme', tier: 'free', region: 'us' },
  { slug: 'umbrella', tier: 'free', region: 'eu' },
  { slug: 'stark', tier: 'enterprise', region: 'eu' },
] as const

let world: World
let us: TestGateway
let eu: TestGateway
beforeAll(async () => {
  world = await startWorld({
    regions: ['us', 'eu'],
    tenants: TENANTS,
    settings: { synchronous_commit: 'on' },
    configure: (input) => ({ ...input, directory: { ttlMs: 1_000 } }),
  })
  us = await world.gateway('us')
  // With nothing of the other region's in its environment.
  eu = await world.gateway('eu', { env: envOf('eu') })
})
afterAll(() => world?.close())

function envOf(region: TestRegion): Record<string, string> {
  const other = region === 'us' ? 'EU' : 'US'
  return Object.fromEntries(
    Object.entries(world.system.env).filter(
      // A public key is everybody's to know.
      ([name]) => name.endsWith('PUBLIC_KEY') || (!name.includes(`_${other}_`) && !/CONTROL_URL|ADMIN/.test(name)),
    ),
  )
}

describe('a region’s gateway', () => {
  test('works with the credentials of its own region alone, and holds no others', () => {
    for (const region of ['us', 'eu'] as const) {
      const role = { kind: 'gateway', region } as const
      const bare = resolveConfig(world.system.input, role, envOf(region))
      const full = resolveConfig(world.system.input, role, world.system.env)
      const secrets = Object.entries(world.system.env).filter(([name]) => !(name in envOf(region)))
      expect(secrets.length).toBeGreaterThanOrEqual(5)
      for (const config of [bare, full]) {
        const text = everythingIn(config)
        // The look itself finds what is there.
        expect(text).toContain(world.system.env[`INNKEEPER_${region.toUpperCase()}_KEY`]!)
        for (const [name, value] of secrets) expect([name, text.includes(value)]).toEqual([name, false])
      }
    }
  })

  test('says what is missing when it has not got its own', () => {
    const role = { kind: 'gateway', region: 'eu' } as const
    expect(() => resolveConfig(world.system.input, role, envOf('us'))).toThrow(ConfigError)
    expect(() => resolveConfig(world.system.input, role, envOf('us'))).toThrow(/INNKEEPER_EU_1_URL/)
  })

  test('serves its own tenants to the official client', async () => {
    for (const slug of ['umbrella', 'stark']) {
      const client = createClient(`${eu.url}/t/${slug}`, world.system.keyOf(slug))
      const { data, error } = await client
        .from('customers')
        .insert({ name: 'x', email: 'x@example.com' })
        .select('name')
      expect([error, data]).toEqual([null, [{ name: 'x' }]])
    }
  })

  test('sends a tenant of another region there, by whatever it is named, and serves nothing of it', async () => {
    const euUrl = world.system.input.regions.eu!.url
    const as = { headers: { apikey: world.system.keyOf('stark') } }
    for (const [path, host] of [
      ['/rest/v1/customers', 'localhost'],
      ['/t/stark/rest/v1/customers', 'localhost'],
      ['/rest/v1/customers', 'stark.localhost'],
      ['/v1/whoami', 'localhost'],
      ['/v1/summary', 'localhost'],
    ] as const) {
      const answer = await us.ask(path, { headers: { ...as.headers, host: `${host}:${us.port}` } })
      expect([path, answer.status, answer.json]).toEqual([
        path,
        421,
        expect.objectContaining({ code: 'misdirected_region', region_url: euUrl }),
      ])
      expect(answer.text).not.toMatch(SECRETS)
    }
    const write = await us.ask('/rest/v1/customers', {
      ...as,
      method: 'POST',
      headers: { ...as.headers, 'content-type': 'application/json' },
      body: '{"name":"away","email":"away"}',
    })
    expect(write.status).toBe(421)
    const { json } = await eu.ask('/rest/v1/customers?name=eq.away', { as: 'stark' })
    expect(json).toEqual([])
  })

  test('tells nobody with a made-up key which region a tenant lives in more than its id does, nor that a path is theirs', async () => {
    const { id } = await world.system.control.tenant('stark')
    const madeUp = makeKeyText(id as TenantId)
    expect((await eu.ask('/v1/whoami', { headers: { apikey: madeUp } })).status).toBe(401)
    expect((await eu.ask('/t/stark/v1/whoami', { headers: { apikey: madeUp } })).status).toBe(401)
    // Away from home the key is a hint, and one that disagrees with the path is no more than that.
    expect((await us.ask('/t/acme/v1/whoami', { headers: { apikey: madeUp } })).status).toBe(403)
    expect((await us.ask('/t/nobody/v1/whoami', { headers: { apikey: madeUp } })).status).toBe(403)
  })
})

describe('with the directory’s server gone', () => {
  const unknown = 'ffffffff-0000-7000-8000-000000000000' as TenantId

  test('another region goes on with the tenants it knows, and says 503 for the others, soon', {
    timeout: 60_000,
  }, async () => {
    for (const slug of ['umbrella', 'stark']) expect((await eu.ask('/v1/whoami', { as: slug })).status).toBe(200)
    const { server } = world.system.servers.get('us')!
    server.kill('SIGKILL')
    await new Promise((r) => setTimeout(r, 1_500))
    for (let n = 0; n < 3; n++) {
      const startedAt = performance.now()
      const answer = await eu.ask('/t/umbrella/rest/v1/customers?select=name', { as: 'umbrella' })
      expect([answer.status, answer.json]).toEqual([200, [{ name: 'x' }]])
      expect(performance.now() - startedAt).toBeLessThan((n === 0 ? 2_500 : 300) * BUSY)
    }
    const startedAt = performance.now()
    const answer = await eu.ask('/v1/whoami', { headers: { apikey: makeKeyText(unknown) } })
    expect(performance.now() - startedAt).toBeLessThan(2_500 * BUSY)
    expect([answer.status, answer.json.code]).toEqual([503, 'directory_unavailable'])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    expect(answer.text).not.toMatch(SECRETS)
    expect((await eu.ask('/healthz')).status).toBe(200)
    // Out of reach is no reason to be sent no requests.
    expect((await eu.ask('/readyz')).status).toBe(200)
  })

  test('one that starts now stays up, is not ready, and serves when the directory is back', {
    timeout: 60_000,
  }, async () => {
    const early = await world.gateway('eu', { env: envOf('eu') })
    const answer = await early.ask('/v1/whoami', { as: 'stark' })
    expect([answer.status, answer.json.code]).toEqual([503, 'directory_unavailable'])
    expect((await early.ask('/healthz')).status).toBe(200)
    expect((await early.ask('/readyz')).status).toBe(503)
    await world.system.servers.get('us')!.server.restart()
    for (const gateway of [early, eu]) {
      await expect
        .poll(async () => (await gateway.ask('/v1/whoami', { as: 'stark' })).status, {
          timeout: 3_000 * BUSY,
          interval: 50,
        })
        .toBe(200)
    }
    await expect.poll(async () => (await early.ask('/readyz')).status, { timeout: 3_000 * BUSY }).toBe(200)
  })

  test('and what changes after it is back is seen within a second again', async () => {
    await waitUntil('the control plane', () =>
      world.system.control.suspend('stark').then(
        () => true,
        () => false,
      ),
    )
    await expect
      .poll(async () => (await eu.ask('/v1/whoami', { as: 'stark' })).status, { timeout: 1_000 * BUSY })
      .toBe(403)
  })
})

describe('with a region’s own server gone', () => {
  test('its tenants get 503 with Retry-After, soon, and are served again when it is back', {
    timeout: 60_000,
  }, async () => {
    const { server } = world.system.servers.get('eu')!
    expect((await eu.ask('/rest/v1/customers', { as: 'umbrella' })).status).toBe(200)
    server.kill('SIGKILL')
    await new Promise((r) => setTimeout(r, 100))
    for (let n = 0; n < 12; n++) {
      const startedAt = performance.now()
      const answer = await eu.ask('/rest/v1/customers', { as: 'umbrella' })
      // A connection that is lost with the statement on its way leaves the outcome open.
      expect([answer.status, answer.json.code]).toEqual([503, 'cluster_unavailable'])
      expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1)
      expect(answer.text).not.toMatch(SECRETS)
      expect(performance.now() - startedAt).toBeLessThan(1_000 * BUSY)
    }
    await server.restart()
    await expect
      .poll(async () => (await eu.ask('/rest/v1/customers', { as: 'umbrella' })).status, {
        timeout: 3_000 * BUSY,
        interval: 50,
      })
      .toBe(200)
  })
})

/** Every string and every buffer in a configuration, in maps too. */
function everythingIn(config: Config): string {
  return JSON.stringify(config, (_key, value) => {
    if (value instanceof Map) return [...value]
    if (value?.type === 'Buffer') return Buffer.from(value.data).toString('base64')
    return value
  })
}
