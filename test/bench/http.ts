import { autocannon, type Load } from './autocannon.ts'
import type { Bench } from './bench.ts'
import { type Child, startChild } from './child.ts'
import { median } from './measure.ts'
import { ROOMS } from './world.ts'

const CONNECTIONS = 32
const ROUNDS = 3
/** The whole request: identified, authenticated, limited, observed and answered, against handlers that do none of it. */
export const http: Bench = {
  name: 'http',
  async run({ system, seconds }) {
    const { server } = system.servers.get('us')!
    const start = (kind: string, url = '') =>
      startChild('http-server.ts', [], {
        BENCH_JOB: JSON.stringify({ kind, url, input: system.input, env: system.env }),
      })
    const gateway = await start('gateway')
    const bare = await start('bare', server.url('postgres'))
    const drizzle = await start('drizzle', server.url('postgres', 'bench_app', 'bench'))
    const targets: [string, Child, string | null][] = [
      ['bare handler', bare, null],
      ['handler with drizzle transaction', drizzle, null],
      ...Object.entries(ROOMS).map(([isolation, slug]): [string, Child, string] => [
        `gateway, ${isolation}`,
        gateway,
        slug,
      ]),
    ]
    const loads = new Map<string, Load[]>(targets.map(([what]) => [what, []]))
    try {
      for (let round = 0; round <= ROUNDS; round++) {
        for (const [what, { said }, slug] of targets) {
          const key = slug === null ? null : system.keyOf(slug)
          const url = `http://127.0.0.1:${said}/v1/customers/7`
          const load = await autocannon(url, { key, seconds, connections: CONNECTIONS })
          if (round > 0) loads.get(what)!.push(load)
        }
      }
    } finally {
      await Promise.all([gateway.stop(), bare.stop(), drizzle.stop()])
    }
    const ratio = (what: string, other: string) =>
      median(loads.get(what)!.map((load, i) => load.perSecond / loads.get(other)![i]!.perSecond))
    return targets.map(([what, , slug]) => ({
      bench: `HTTP request, ${CONNECTIONS} connections`,
      what,
      value: median(loads.get(what)!.map((l) => l.perSecond)),
      unit: 'op/s' as const,
      ...(slug === null
        ? {}
        : {
            ratios: {
              'bare handler': ratio(what, 'bare handler'),
              'drizzle transaction': ratio(what, 'handler with drizzle transaction'),
            },
            goals: [
              { of: 'bare handler', atLeast: 0.7 },
              { of: 'drizzle transaction', atLeast: 3 },
            ],
          }),
    }))
  },
}
