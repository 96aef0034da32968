import { resolveConfig } from '../../config/index.ts'
import * as schema from '../../config/schema.ts'
import { openTenants } from '../../tiers/open-tenants.ts'
import { type Alternative, bare, drizzleTransactions } from './alternatives.ts'
import type { Bench } from './bench.ts'
import { startChild } from './child.ts'
import { type Case, inTurns } from './measure.ts'
import { waysOf } from './rooms.ts'
import { caseOf } from './statements.ts'

const EACH_WAY_MS = 1
const WORKERS = 4

/** How long a reader waits where the database is 2 ms away: round trips count there, not processors. */
export const network: Bench = {
  name: 'network',
  async run({ system, seconds }) {
    const { server } = system.servers.get('us')!
    const proxy = await startChild('delay-proxy.ts', [new URL(server.url()).port, String(EACH_WAY_MS)])
    const far = (url: string) => {
      const moved = new URL(url)
      moved.hostname = '127.0.0.1'
      moved.port = proxy.said
      return moved.href
    }
    const env = { ...system.env, INNKEEPER_US_1_URL: far(system.env.INNKEEPER_US_1_URL!) }
    const tenants = await openTenants(resolveConfig(system.input, { kind: 'gateway', region: 'us' }, env), { schema })
    const others = {
      bare: bare(far(server.url('postgres')), WORKERS),
      'drizzle transaction': drizzleTransactions(far(server.url('postgres', 'bench_app', 'bench')), WORKERS),
    }
    const ways: Record<string, Omit<Alternative, 'close'>> = { ...others, ...waysOf(tenants) }
    try {
      const cases = Object.entries(ways).map(([name, way]): [string, Case] => [name, caseOf(way, 'read')])
      const measured = await inTurns(Object.fromEntries(cases), { seconds, workers: WORKERS })
      return Object.entries(measured).map(([what, m]) => ({
        bench: `read, ${2 * EACH_WAY_MS} ms of network, p50`,
        what,
        value: m.p50Ms,
        unit: 'ms' as const,
        ...(what === 'bare' ? {} : { ratios: { bare: m.latencyRatioTo('bare') } }),
        ...(what.endsWith('session') ? { goals: [{ of: 'bare', atMost: 1.2 }] } : {}),
      }))
    } finally {
      await Promise.all([...Object.values(others).map((o) => o.close()), tenants.close()])
      await proxy.stop()
    }
  },
}
