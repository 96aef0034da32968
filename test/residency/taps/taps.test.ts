import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { withAdmin } from '../../../tiers/pg/admin.ts'
import { send } from '../../gateway/support.ts'
import type { TestRegion } from '../../support/system.ts'
import { type Canary, canaryOf, leaksOf, seenAt } from './canary.ts'
import { REGIONS, startTopology, type Topology } from './topology.ts'
import { askAll, operate } from './workload.ts'

/** Of each region: one that is redirected, one that is rejected. */
const PINNED: Record<TestRegion, readonly string[]> = { us: ['hooli', 'initech'], eu: ['globex', 'stark'] }
const FORWARDED: Record<TestRegion, string> = { us: 'acme', eu: 'umbrella' }

let topology: Topology
const canaries: Canary[] = []
const forwarded: Canary[] = []
beforeAll(async () => {
  topology = await startTopology()
  const { system } = topology.world
  const made = (slug: string, home: TestRegion) => canaryOf(slug, home, system.keyOf(slug))
  for (const home of REGIONS) {
    canaries.push(...PINNED[home].map((slug) => made(slug, home)))
    forwarded.push(made(FORWARDED[home], home))
  }

  for (const canary of [...canaries, ...forwarded]) {
    const key = system.keyOf(canary.slug)
    for (const region of REGIONS) await askAll(topology.gateways[region], canary, key)
  }
  for (const { slug } of canaries) await operate(topology, slug)
  await topology.control.scanResidency()
  for (const region of REGIONS) await topology.restart(region)
  for (const canary of canaries) {
    for (const region of REGIONS) await askAll(topology.gateways[region], canary, system.keyOf(canary.slug))
  }
  // Spans and metrics leave in turns.
  for (const region of REGIONS) await topology.restart(region)
}, 240_000)
afterAll(() => topology?.close())

test('every tap has something to tell, and what is allowed is seen where it is allowed', async () => {
  const places = await topology.places()
  for (const { name, bytes } of places) {
    if (topology.redis === null && name.startsWith('redis')) continue
    // What was counted there may have expired.
    if (/^redis ..$/.test(name)) continue
    expect([name, bytes.some((b) => b.length > 0)]).toEqual([name, true])
  }
  for (const canary of canaries) {
    const seen = seenAt(places, canary).map(({ place }) => place.name)
    expect(seen).toContain(`postgres ${canary.home}, on the wire`)
  }
  for (const canary of forwarded) {
    const seen = seenAt(places, canary).map(({ place }) => place.name)
    expect(seen).toContain(`peer ${canary.home}, on the wire`)
  }
})

test('of a pinned tenant nothing is in another region: on no wire, in no log, cache, metric, trace or file, nor in the directory', async () => {
  const places = await topology.places()
  expect(canaries.flatMap((canary) => leaksOf(places, canary))).toEqual([])
})

test('of a forwarded tenant nothing stays on the way', async () => {
  const places = await topology.places()
  const elsewhere = (canary: Canary) =>
    leaksOf(places, canary).filter((leak) => !leak.endsWith(`in: peer ${canary.home}, on the wire`))
  expect(forwarded.flatMap(elsewhere)).toEqual([])
})

/** What a careless change could do in the wrong region with a request of `canary`, and where the taps see it. */
const SEEDS: readonly { what: string; at: RegExp; leak(canary: Canary): Promise<unknown> }[] = [
  {
    what: 'a log line with the query string',
    at: /logs us/,
    leak: async ({ text }) => topology.gateways.us.telemetry.log.warn({ query: `subject=eq.${text}` }, 'refused'),
  },
  {
    what: 'a span attribute',
    at: /otlp us, on the wire/,
    async leak({ text }) {
      topology.gateways.us.telemetry.tracer.startSpan('refused', { attributes: { 'url.query': text } }).end()
      await topology.restart('us')
    },
  },
  {
    what: 'a metric label',
    at: /metrics us/,
    leak: async ({ text }) => topology.gateways.us.telemetry.meter.createCounter('refused').add(1, { subject: text }),
  },
  {
    what: 'a cache entry',
    at: /redis us/,
    async leak({ slug, text }) {
      const client = await topology.redis!.us.client(topology.taps['redis us'].port)
      await client.set(`seen:${slug}`, text)
    },
  },
  {
    what: 'a column of the directory',
    at: /control database/,
    leak: ({ slug, text }) =>
      withAdmin(topology.world.system.env.INNKEEPER_CONTROL_URL!, null, {}, async (sql) => {
        await sql.unsafe('alter table tenants add column if not exists last_subject text')
        await sql.unsafe('update tenants set last_subject = $1 where slug = $2', [text, slug])
      }),
  },
  {
    what: 'a row in the wrong region',
    at: /postgres us, on the wire/,
    leak: ({ text }) => {
      const url = new URL(topology.world.system.env.INNKEEPER_US_1_ADMIN_URL!)
      url.port = String(topology.taps['postgres us'].port)
      return withAdmin(url.href, 'postgres', {}, (sql) => sql`select ${text}::text as copy`)
    },
  },
  {
    what: 'a body that is forwarded because one gateway has another policy',
    at: /peer eu, on the wire/,
    async leak({ slug, text }) {
      const careless = await topology.gateway('us', (input) => ({
        ...input,
        tiers: Object.fromEntries(Object.entries(input.tiers).map(([n, t]) => [n, { ...t, away: 'forward' as const }])),
      }))
      const answer = await careless.ask('/rest/v1/customers', { as: slug, method: 'POST', body: text })
      expect(answer.status).not.toBe(421)
    },
  },
  {
    what: 'a request that is sent on before anybody knows whose it is',
    at: /peer eu, on the wire/,
    async leak({ text }) {
      const socket = connect(topology.taps['peer eu'].port, '127.0.0.1')
      await new Promise<void>((resolve) => {
        socket.on('close', () => resolve())
        socket.on('data', () => socket.end())
        socket.write(
          `GET /rest/v1/tickets?subject=eq.${text} HTTP/1.1\r\nHost: eu.localhost\r\nConnection: close\r\n\r\n`,
        )
      })
    },
  },
]

test.for(SEEDS)('a seeded leak is found by its place: $what', async ({ what, at, leak }, context) => {
  if (what === 'a cache entry' && topology.redis === null) return context.skip()
  const { system } = topology.world
  const { text, ...rest } = canaryOf('stark', 'eu', system.keyOf('stark'))
  const canary = { ...rest, text, marks: rest.marks.slice(0, 1) }
  expect(leaksOf(await topology.places(), canary)).toEqual([])
  await leak(canary)
  const leaks = leaksOf(await topology.places(), canary)
  expect(leaks.join('\n')).toMatch(at)
})

test('a client that asks the wrong region is told where home is, and nothing of itself', async () => {
  const canary = canaries.find((c) => c.slug === 'stark')!
  const key = topology.world.system.keyOf('stark')
  const { port } = topology.gateways.us
  const answer = await send(port, `/rest/v1/tickets?subject=eq.${canary.text}`, { headers: { apikey: key } })
  expect(answer.status).toBe(421)
  expect(`${JSON.stringify(answer.headers)}${answer.text}`).not.toContain(canary.text)
})
