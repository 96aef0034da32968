import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type Config, type ConfigInput, type ProcessRole, resolveConfig, secret } from '../../config/index.ts'
import demo from '../../config/innkeeper.config.ts'
import { publicKeyOf } from '../../config/x25519.ts'
import { requirePeering } from '../../tiers/control/place.ts'
import { startGateway, testConfig } from './support/gateway.ts'
import { World } from './support/world.ts'

const forwarding = { free: { isolation: 'shared', away: 'forward' } } satisfies ConfigInput['tiers']

const [us, eu] = [randomBytes(32), randomBytes(32)]

/** Whatever the demo's configuration names, so that nothing but what a test changes is amiss. */
function env(): Record<string, string> {
  const url = 'postgres://localhost/x'
  const key = randomBytes(32).toString('base64')
  return {
    INNKEEPER_CONTROL_URL: url,
    INNKEEPER_DIRECTORY_URL: url,
    INNKEEPER_ADMIN_TOKEN: key,
    INNKEEPER_US_KEY: key,
    INNKEEPER_US_1_URL: url,
    INNKEEPER_EU_KEY: key,
    INNKEEPER_US_PEERING_KEY: us.toString('base64'),
    INNKEEPER_US_PEERING_PUBLIC_KEY: publicKeyOf(us).toString('base64'),
    INNKEEPER_EU_PEERING_KEY: eu.toString('base64'),
    INNKEEPER_EU_PEERING_PUBLIC_KEY: publicKeyOf(eu).toString('base64'),
  }
}

function faultsOf(role: ProcessRole, changes: Record<string, string | undefined>): string {
  try {
    resolveConfig(demo, role, { ...env(), ...changes })
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

describe('the configuration', () => {
  test('forwards nothing unless it is told to, and without a key refuses to', () => {
    expect(testConfig().tiers.free!.away).toBe('reject')
    expect(() => testConfig({ tiers: forwarding })).toThrow('tiers.free.away: "forward" needs regions.us.peering')
    expect(() => requirePeering(testConfig(), 'forward')).toThrow('needs regions.us.peering')
    expect(() => requirePeering(resolveConfig(demo, { kind: 'gateway', region: 'us' }, env()), 'forward')).not.toThrow()
    expect(() => requirePeering(testConfig(), 'redirect')).not.toThrow()
  })

  test('a gateway holds the private key of its own region only, and the control plane none', () => {
    const held = (config: Config) => [...config.regions].map(([name, { peering }]) => [name, peering.keys.length])
    const without = (name: string) => ({ ...env(), [name]: undefined })
    expect(held(resolveConfig(demo, { kind: 'gateway', region: 'us' }, without('INNKEEPER_EU_PEERING_KEY')))).toEqual([
      ['us', 1],
      ['eu', 0],
    ])
    expect(() => resolveConfig(demo, { kind: 'gateway', region: 'us' }, without('INNKEEPER_US_PEERING_KEY'))).toThrow(
      'INNKEEPER_US_PEERING_KEY: is not set',
    )
    expect(faultsOf({ kind: 'control' }, { INNKEEPER_US_PEERING_KEY: undefined })).not.toContain('PEERING')
  })

  test('a key that is short, or that the others do not know, or that two regions share is a fault; one region needs none', () => {
    const gateway: ProcessRole = { kind: 'gateway', region: 'us' }
    expect(faultsOf(gateway, { INNKEEPER_US_PEERING_KEY: 'c2hvcnQ=' })).toContain(
      'INNKEEPER_US_PEERING_KEY: decodes to 5 bytes',
    )
    const other = randomBytes(32)
    expect(faultsOf(gateway, { INNKEEPER_US_PEERING_KEY: other.toString('base64') })).toContain(
      `regions.us.peering.publicKeys: does not hold the public half of its own key: add ${publicKeyOf(other).toString('base64')}`,
    )
    const { INNKEEPER_US_PEERING_PUBLIC_KEY: shared } = env()
    expect(faultsOf(gateway, { INNKEEPER_EU_PEERING_PUBLIC_KEY: shared })).toContain(
      'regions.eu.peering.publicKeys: holds a key of region us',
    )
    const one = { ...demo, regions: { us: demo.regions.us! } }
    expect(() => resolveConfig(one, gateway, {})).toThrow(/^(?![\s\S]*PEERING)/)
  })

  test('the keys of what is stored are read by the region’s gateways, and not by the control plane', () => {
    const input = { ...demo, regions: { ...demo.regions, eu: { ...demo.regions.eu!, keyRing: [secret('EU_RING')] } } }
    const ring = randomBytes(32).toString('base64')
    const admin = { INNKEEPER_US_1_ADMIN_URL: 'postgres://x/x', INNKEEPER_EU_1_URL: 'postgres://x/x' }
    const all = { ...env(), ...admin, INNKEEPER_EU_1_ADMIN_URL: 'postgres://x/x', INNKEEPER_SIGNING_KEY: ring }
    const eu: ProcessRole = { kind: 'gateway', region: 'eu' }
    expect(() => resolveConfig(input, eu, all)).toThrow('EU_RING: is not set; regions.eu.keyRing needs it')
    const ringOf = (config: Config) => config.regions.get('eu')!.secrets!.keyRing
    expect(ringOf(resolveConfig(input, eu, { ...all, EU_RING: ring }))).toEqual([Buffer.from(ring, 'base64')])
    expect(ringOf(resolveConfig(input, { kind: 'control' }, all))).toEqual([])
  })

  test("what is a region's own is no other region's by its name either", () => {
    const [us, eu] = [demo.regions.us!, demo.regions.eu!]
    const shared = { redisUrl: secret('REDIS') }
    const input = { ...demo, regions: { us: { ...us, ...shared }, eu: { ...eu, ...shared, keyRing: [us.key] } } }
    const resolve = () => resolveConfig(input, { kind: 'gateway', region: 'us' }, { ...env(), REDIS: 'redis://x' })
    expect(resolve).toThrow("regions.eu.redisUrl: is REDIS, which is region us's too")
    expect(resolve).toThrow("regions.eu.keyRing: is INNKEEPER_US_KEY, which is region us's too")
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
