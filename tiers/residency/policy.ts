import type { Config, ResidencyProfile } from '../../config/index.ts'
import type { AwayPolicy, Tenant } from '../types.ts'

/** What a tenant is kept to: a profile of the configuration's, and a list of regions of its own. */
export interface Kept {
  readonly profile?: Tenant['profile'] | undefined
  readonly pinned?: Tenant['pinned'] | undefined
}

export interface Residency {
  /** Null for a tenant that is pinned without a profile. */
  readonly name: string | null
  /** Null also where the configuration has no profile of that name: then nothing is allowed. */
  readonly profile: ResidencyProfile | null
  /** Where its data may be; empty for an unknown profile. */
  readonly regions: ReadonlySet<string>
  /** Whether its requests may pass through gateways of other regions. */
  readonly transit: boolean
}

type Known = Pick<Config, 'residency' | 'regions' | 'tiers'>

/** @returns null for a tenant that may be anywhere */
export function residencyOf(config: Pick<Known, 'residency' | 'regions'>, { profile, pinned }: Kept): Residency | null {
  const name = profile ?? null
  if (name === null && !pinned) return null
  const { profiles } = config.residency
  const found = name !== null && Object.hasOwn(profiles, name) ? profiles[name]! : null
  const all = [...config.regions.keys()]
  const byProfile = name === null ? all : (found?.regions ?? [])
  const regions = new Set(all.filter((r) => byProfile.includes(r) && (pinned?.includes(r) ?? true)))
  const isKnown = name === null || found !== null
  // Where every region is allowed there is none that a request could wrongly pass through.
  const transit = found?.transit === 'allowed' || (isKnown && regions.size === all.length)
  return { name, profile: found, regions, transit }
}

/** What other regions' gateways do with its requests: what may not pass through them is not forwarded, whatever its tier says. */
export function awayPolicyOf(config: Known, tenant: Kept & Pick<Tenant, 'away' | 'tier'>): AwayPolicy {
  const wanted = tenant.away ?? config.tiers[tenant.tier]?.away ?? 'reject'
  return wanted === 'forward' && residencyOf(config, tenant)?.transit === false ? 'reject' : wanted
}

/** The tiers whose isolation model and name the profile allows. */
export function tiersOf(profile: ResidencyProfile, tiers: Config['tiers']): string[] {
  return Object.entries(tiers)
    .filter(([name, { isolation }]) => allowsTier(profile, name) && allowsIsolation(profile, isolation))
    .map(([name]) => name)
}

export function allowsTier({ tiers }: ResidencyProfile, tier: string): boolean {
  return tiers?.includes(tier) ?? true
}

export function allowsIsolation(profile: ResidencyProfile, isolation: Config['tiers'][string]['isolation']): boolean {
  return profile.isolation?.includes(isolation) ?? true
}
