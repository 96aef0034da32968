import type { ConfigInput } from '../../../config/index.ts'
import { startTestSystem, type TestSystem, type TestSystemOptions, type TestTenant } from '../../support/system.ts'

/** What lasts for others' sake is short here or left out, and a machine that is busy gets its time. */
export const QUICK = {
  quarantineMs: 700,
  calmMs: 20,
  watchPassMs: 200,
  deadlineMs: 2_000,
  drainMs: 600,
  unpacedMs: 600_000,
}

/** A load asks as much as it can. */
const WIDE = { requestsPerSecond: 1e6, burst: 1e6, concurrency: 1e4 }

/** One region with two clusters, each on a server of its own: so that every pair of isolation models can be moved between. */
export function startTwoClusters(
  tenants: readonly TestTenant[],
  options: Partial<TestSystemOptions> = {},
): Promise<TestSystem> {
  return startTestSystem({
    moveSettings: QUICK,
    ...options,
    // The second server is known to the environment as the other region's.
    regions: ['us', 'eu'],
    tenants,
    configure(input) {
      const { us, eu } = input.regions
      const clusters = { ...us!.clusters, 'us-2': eu!.clusters['eu-1']! }
      const residency = { profiles: {} }
      return { ...input, regions: { us: { ...us!, clusters } }, residency, tiers: wide(input.tiers) }
    },
  })
}

function wide(tiers: ConfigInput['tiers']): ConfigInput['tiers'] {
  const all = Object.entries(tiers)
  return Object.fromEntries(all.map(([name, tier]) => [name, { ...tier, limits: { ...tier.limits, ...WIDE } }]))
}

export const TIER_OF = { shared: 'free', schema: 'pro', database: 'enterprise' } as const
