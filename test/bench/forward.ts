import { randomBytes } from 'node:crypto'
import { Client } from 'undici'
import type { ConfigInput } from '../../config/index.ts'
import demo from '../../config/innkeeper.config.ts'
import { publicKeyOf } from '../../config/x25519.ts'
import { autocannon, type Load } from './autocannon.ts'
import type { Bench } from './bench.ts'
import { startChild } from './child.ts'
import { median } from './measure.ts'
import { startNginx } from './nginx.ts'
import type { Row } from './row.ts'
import { ROOMS } from './world.ts'

const CONNECTIONS = 32
const ROUNDS = 5
const REQUESTS = 500
const PATH = '/v1/whoami'

/**
 * A request that goes through a gateway of another region, against one that was sent home at once and against one through
 * @fastify/http-proxy or nginx. All are answered by the same home gateway, from memory, so that what is measured is the way.
 */
export const forward: Bench = {
  name: 'forward',
  async run({ system, seconds, note }) {
    const euKey = randomBytes(32)
    const euKeys = {
      INNKEEPER_EU_KEY: randomBytes(32).toString('base64'),
      INNKEEPER_EU_PEERING_KEY: euKey.toString('base64'),
      INNKEEPER_EU_PEERING_PUBLIC_KEY: publicKeyOf(euKey).toString('base64'),
    }
    const start = (kind: string, input: ConfigInput, upstream = '') =>
      startChild('forward-server.ts', [], {
        BENCH_JOB: JSON.stringify({ kind, upstream, input, env: { ...system.env, ...euKeys } }),
      })
    const home = await start('us', twoRegions(system.input, 'http://127.0.0.1:1'))
    const upstream = `http://127.0.0.1:${home.said}`
    const away = await start('eu', twoRegions(system.input, upstream))
    const fastify = await start('fastify', system.input, upstream)
    const nginx = await startNginx(upstream)
    if (nginx === null) note('forward: nginx is not on this machine; Debian has it')
    const targets: readonly (readonly [string, string])[] = [
      ['local', home.said],
      ['forwarded', away.said],
      ['@fastify/http-proxy', fastify.said],
      ...(nginx === null ? [] : [['nginx', nginx.port] as const]),
    ]
    const key = system.keyOf(ROOMS.shared)
    const many = new Map<string, Load[]>(targets.map(([what]) => [what, []]))
    const p50s = new Map<string, number[]>(targets.map(([what]) => [what, []]))
    try {
      for (let round = 0; round <= ROUNDS; round++) {
        for (const [what, port] of targets) {
          const url = `http://127.0.0.1:${port}${PATH}`
          const busy = await autocannon(url, { key, seconds, connections: CONNECTIONS })
          const alone = await p50Of(port, key)
          if (round === 0) continue
          many.get(what)!.push(busy)
          p50s.get(what)!.push(alone)
        }
      }
    } finally {
      await Promise.all([home.stop(), away.stop(), fastify.stop(), nginx?.stop()])
    }
    const speed = (what: string) => median(many.get(what)!.map((l) => l.perSecond))
    const p50Ms = (what: string) => median(p50s.get(what)!)
    const ratio = (what: string, other: string) =>
      median(many.get(what)!.map((load, i) => load.perSecond / many.get(other)![i]!.perSecond))
    const rows: Row[] = targets.map(([what]) => ({
      bench: `request between regions, ${CONNECTIONS} connections`,
      what,
      value: speed(what),
      unit: 'op/s' as const,
      ...(what === 'forwarded'
        ? {
            ratios: Object.fromEntries(targets.filter(([o]) => o !== what).map(([o]) => [o, ratio(what, o)])),
            goals: [{ of: '@fastify/http-proxy', atLeast: 1.5 }],
          }
        : {}),
    }))
    const added = (what: string): Row => ({
      bench: 'p50 added to a local request',
      what,
      value: p50Ms(what) - p50Ms('local'),
      unit: 'ms' as const,
      ...(what === 'forwarded'
        ? { ratios: { '1 ms': p50Ms(what) - p50Ms('local') }, goals: [{ of: '1 ms', atMost: 1 }] }
        : {}),
    })
    return [...rows, ...targets.slice(1).map(([what]) => added(what))]
  },
}

/** Of requests one after the other on one connection, in milliseconds. */
async function p50Of(port: string, apikey: string): Promise<number> {
  const client = new Client(`http://127.0.0.1:${port}`)
  const took: number[] = []
  for (let n = 0; n < REQUESTS; n++) {
    const before = performance.now()
    const { statusCode, body } = await client.request({ path: PATH, method: 'GET', headers: { apikey } })
    await body.dump()
    took.push(performance.now() - before)
    if (statusCode !== 200) throw new Error(`port ${port} answered ${statusCode}`)
  }
  await client.close()
  return median(took)
}

/** A second region, of which only its gateway is needed: it forwards all of the first one's tenants. */
function twoRegions(input: ConfigInput, peerUrl: string): ConfigInput {
  const { us } = input.regions
  const cluster = Object.values(us!.clusters)[0]!
  return {
    ...input,
    regions: {
      us: { ...us!, peerUrl },
      eu: { ...demo.regions.eu!, clusters: { 'eu-1': cluster } },
    },
    peering: { connectionsMax: CONNECTIONS },
    tiers: Object.fromEntries(Object.entries(input.tiers).map(([n, t]) => [n, { ...t, away: 'forward' as const }])),
  }
}
