import { expect, test } from 'vitest'
import { ConfigError } from '../../config/index.ts'
import demo from '../../config/innkeeper.config.ts'
import { parseConfig, resolveConfig } from '../../config/resolve.ts'
import { DEMO_TENANTS } from '../../gateway/dev/demo/tenants.ts'
import { awayPolicyOf, residencyOf } from '../../tiers/residency/policy.ts'

const faultsOf = (change: object, control: object = {}) => {
  const input = { ...demo, control: { ...demo.control, ...control }, residency: { profiles: change } } as never
  try {
    resolveConfig(input, { kind: 'control' }, {})
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.filter((f) => !/^[A-Z]/.test(f.where)).map((f) => f.where)
    throw error
  }
  return []
}

test('every fault of every profile is reported at once, by its place', () => {
  expect(
    faultsOf(
      {
        moon: { regions: ['moon', 'eu'], tiers: ['gold'] },
        never: { regions: ['eu'], tiers: ['free'], isolation: ['database'] },
      },
      { region: 'mars' },
    ),
  ).toEqual([
    'residency.profiles.moon.regions',
    'residency.profiles.moon.tiers',
    'residency.profiles.never',
    'control.region',
  ])
  const shape = {
    a: { regions: [] },
    'B!': { regions: ['eu'] },
    c: { regions: ['eu'], colour: 'red', retentionDays: 0 },
  }
  expect(() => parseConfig({ ...demo, residency: { profiles: shape } })).toThrow(
    /profiles\.a\.regions[\s\S]*profiles\.B![\s\S]*profiles\.c\.retentionDays[\s\S]*profiles\.c/,
  )
  expect(faultsOf(demo.residency!.profiles)).toEqual([])
})

const { residency, regions, tiers } = parseConfig(demo)
const config = { residency, tiers, regions: new Map(Object.keys(regions).map((name) => [name, {} as never])) }

test('the demo has a tenant that is kept to its region, and it keeps it', () => {
  const kept = DEMO_TENANTS.filter((t) => t.profile !== undefined)
  expect(kept).toMatchObject([{ slug: 'umbrella', region: 'eu', profile: 'gdpr' }])
  expect(residencyOf(config, { profile: 'gdpr' })!.regions).toEqual(new Set(['eu']))
})

test('a tenant’s regions are what its profile and its pin both allow, and none for a profile that is not known', () => {
  const regionsOf = (profile: string | null, pinned: string[] | null) => [
    ...(residencyOf(config, { profile, pinned })?.regions ?? ['any']),
  ]
  expect(regionsOf(null, null)).toEqual(['any'])
  expect(regionsOf(null, ['us'])).toEqual(['us'])
  expect(regionsOf('gdpr', null)).toEqual(['eu'])
  expect(regionsOf('gdpr', ['us'])).toEqual([])
  expect(regionsOf('vanished', null)).toEqual([])
  expect(regionsOf('toString', null)).toEqual([])
})

test('what may not pass through another region is rejected there, although its tier forwards', () => {
  const policy = (profile: string | null, pinned: string[] | null = null, away: 'forward' | null = null) =>
    awayPolicyOf(config, { profile, pinned, away, tier: 'free' })
  expect(config.tiers.free!.away).toBe('forward')
  expect(policy(null)).toBe('forward')
  expect(policy('gdpr')).toBe('reject')
  expect(policy('gdpr', null, 'forward')).toBe('reject')
  expect(policy('vanished', null, 'forward')).toBe('reject')
  expect(policy(null, ['eu'])).toBe('reject')
  // Every region is allowed: there is none that it could wrongly pass through.
  expect(policy(null, ['eu', 'us'])).toBe('forward')
})
