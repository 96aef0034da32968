import { describe, expect, test } from 'vitest'
import { type ConfigInput, resolveConfig, secret } from '../../config/index.ts'
import demo from '../../config/innkeeper.config.ts'
import { requirePeering } from '../../tiers/control/place.ts'
import { startGateway, testConfig } from './support/gateway.ts'
import { World } from './support/world.ts'

const forwarding = { free: { isolation: 'shared', away: 'forward' } } satisfies ConfigInput['tiers']

describe('the configuration', () => {
  test('forwards nothing unless it is told to, and without a key refuses to', () => {
    expect(testConfig().tiers.free!.away).toBe('reject')
    expect(() => testConfig({ tiers: forwarding })).toThrow('tiers.free.away: "forward" needs peering.key')
    expect(testConfig({ tiers: forwarding, peering: { key: secret('KEY') } }).peering.key).toHaveLength(32)
    expect(() => requirePeering(testConfig(), 'forward')).toThrow('needs peering.key')
    expect(() => requirePeering(testConfig(), 'redirect')).not.toThrow()
  })

  test('a key that is missing or short is a fault; one region needs none', () => {
    const env = { INNKEEPER_PEERING_KEY: 'c2hvcnQ=' }
    expect(() => resolveConfig(demo, { kind: 'gateway', region: 'us' }, env)).toThrow(
      /INNKEEPER_PEERING_KEY: decodes to 5/,
    )
    const one = { ...demo, regions: { us: demo.regions.us! } }
    expect(() => resolveConfig(one, { kind: 'gateway', region: 'us' }, {})).toThrow(/^(?![\s\S]*PEERING)/)
  })

  test("peers are reached at the region's own address unless another is given", () => {
    expect(testConfig().regions.get('eu')!.peerUrl).toBe('http://eu.example.com')
  })
})

test('a tenant that is to be forwarded by a gateway without a key is rejected: never served from the wrong region', async () => {
  const world = new World()
  const key = world.key(world.tenant('umbrella', { region: 'eu', away: 'forward' }))
  const gateway = await startGateway({ world })
  expect(await gateway.ask('/v1/whoami', { apikey: key })).toMatchObject({
    status: 421,
    json: { code: 'misdirected_region', region_url: 'http://eu.example.com' },
  })
  expect(world.calls).not.toContain('verify')
  await gateway.close()
})
