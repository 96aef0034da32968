import { type Alternative, bare, drizzleTransactions } from './alternatives.ts'
import type { Bench } from './bench.ts'
import { type Case, inTurns } from './measure.ts'
import { waysOf } from './rooms.ts'
import type { Row } from './row.ts'
import { CUSTOMERS } from './world.ts'

const WORKERS = 8
const OTHERS = ['bare', 'drizzle transaction'] as const
const KINDS = ['read', 'insert'] as const

/** One statement, one transaction: through each adapter, bare, and in Drizzle's own transaction. */
export const statements: Bench = {
  name: 'statements',
  async run({ system, seconds }) {
    const { server } = system.servers.get('us')!
    const tenants = await system.openTenants('us')
    const others = {
      bare: bare(server.url('postgres'), WORKERS),
      'drizzle transaction': drizzleTransactions(server.url('postgres', 'bench_app', 'bench'), WORKERS),
    }
    const ways: Record<string, Omit<Alternative, 'close'>> = { ...others, ...waysOf(tenants) }
    try {
      const rows: Row[] = []
      for (const kind of KINDS) {
        const cases = Object.entries(ways).map(([name, way]): [string, Case] => [name, caseOf(way, kind)])
        const measured = await inTurns(Object.fromEntries(cases), { seconds, workers: WORKERS })
        for (const [what, m] of Object.entries(measured)) {
          const ratios = Object.fromEntries(OTHERS.filter((o) => o !== what).map((o) => [o, m.ratioTo(o)]))
          rows.push({
            bench: `${kind}, ${WORKERS} connections`,
            what,
            value: m.opsPerSecond,
            unit: 'op/s',
            ratios,
            ...(what.endsWith('session')
              ? {
                  goals: [
                    { of: 'bare', atLeast: 0.7 },
                    { of: 'drizzle transaction', atLeast: 5 },
                  ],
                }
              : {}),
          })
        }
      }
      return rows
    } finally {
      await Promise.all([...Object.values(others).map((o) => o.close()), tenants.close()])
    }
  },
}

let addresses = 0

export function caseOf(way: Omit<Alternative, 'close'>, kind: (typeof KINDS)[number]): Case {
  return (worker) => {
    let turn = worker * 101
    if (kind === 'read') return () => way.read(1 + (turn++ % CUSTOMERS))
    return () => way.insert(`bench-${++addresses}@example.com`)
  }
}
