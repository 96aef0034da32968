import type { Bench } from './bench.ts'
import type { Row } from './row.ts'

const GOALS = { free: 50, pro: 500, enterprise: 5_000 } as const
const TENANTS = { free: 100, pro: 40, enterprise: 20 } as const

/** How long a new tenant waits for its room, from the call to the first request it could make; one after the other. */
export const onboarding: Bench = {
  name: 'onboarding',
  async run({ system, note }) {
    const rows: Row[] = []
    for (const tier of ['free', 'pro', 'enterprise'] as const) {
      note(`onboarding: ${TENANTS[tier]} tenants of tier ${tier}`)
      const took: number[] = []
      for (let i = 0; i < TENANTS[tier]; i++) {
        const started = performance.now()
        await system.control.createTenant({ slug: `bench-new-${tier}-${i}`, tier, region: 'us' })
        took.push(performance.now() - started)
      }
      took.sort((a, b) => a - b)
      const bench = `onboarding, ${system.config.tiers[tier]!.isolation}`
      rows.push({ bench, what: 'p50', value: took[Math.floor(took.length * 0.5)]!, unit: 'ms' })
      rows.push({
        bench,
        what: 'p95',
        value: took[Math.floor(took.length * 0.95)]!,
        unit: 'ms',
        goals: [{ of: 'ms', atMost: GOALS[tier] }],
      })
    }
    return rows
  },
}
