import { openMoverClient } from '../../tiers/move/mover-client.ts'
import type { MoveState } from '../../tiers/move/states.ts'
import type { TestSystem } from '../support/system.ts'
import type { Bench } from './bench.ts'
import { median } from './measure.ts'
import type { Row } from './row.ts'

/** From where to where, by tier: out of the pool, between two kinds of room of one's own, and back into the pool. */
const WALK = ['pro', 'enterprise', 'pro', 'free'] as const
const FILLER = 130

/** How fast a tenant of a million rows of 200 bytes is copied, alone and unthrottled, and a bare COPY pipe between the moves. */
export const copy: Bench = {
  name: 'copy',
  async run({ system, long, note }) {
    const rows = long ? 1_000_000 : 100_000
    const slug = 'bench-copy'
    const bench = `move of ${rows} rows`
    note(`copy: filling a tenant with ${rows} rows`)
    await system.control.createTenant({ slug, tier: 'free', region: 'us' })
    await fill(system, slug, rows)
    const found: Row[] = []
    const pipes: number[] = []
    const phases = watchPhases(system)
    try {
      for (const tier of WALK) {
        const { isolation: from } = (await system.control.tenant(slug)).placement!
        const { id } = await system.control.moves.start({ tenant: slug, tier, by: 'bench' })
        const move = await system.control.moves.reached(id, 'watching')
        if (move.state !== 'watching') throw new Error(`the move ended as ${move.state}: ${move.reason}`)
        const took = phases.of(id)
        pipes.push(await pipe(system, slug, rows))
        note(
          `copy: ${from} to ${move.to.placement.isolation} ${JSON.stringify(took)} pipe ${pipes.at(-1)!.toFixed(0)} rows/s`,
        )
        const what = `${from} to ${move.to.placement.isolation}`
        const perSecond = (ms: number) => rows / (ms / 1000)
        found.push({
          bench,
          what: `${what}, copying`,
          value: perSecond(took.copying!),
          unit: 'rows/s',
          ratios: { 'bare COPY pipe': perSecond(took.copying!) / pipes.at(-1)! },
          goals: from === 'shared' || tier === 'free' ? [] : [{ of: 'rows/s', atLeast: 250_000 }],
        })
        found.push({ bench, what: `${what}, catching up`, value: took.catching_up!, unit: 'ms' })
        found.push({ bench, what: `${what}, verifying`, value: perSecond(took.verifying!), unit: 'rows/s' })
        await system.control.moves.complete(id)
        await system.control.moves.reached(id, 'completed')
      }
    } finally {
      await phases.close()
    }
    found.push({ bench, what: 'bare COPY pipe', value: median(pipes), unit: 'rows/s' })
    return found
  },
}

/** How long each state of each move lasted, in milliseconds. */
function watchPhases(system: TestSystem) {
  const entered = new Map<string, { state: MoveState; at: number }>()
  const took = new Map<string, Partial<Record<MoveState, number>>>()
  const runner = system.control.moves.run((point, { move: { id } }) => {
    if (!point.startsWith('state:')) return
    const before = entered.get(id)
    const at = performance.now()
    if (before !== undefined) {
      const so = took.get(id) ?? {}
      took.set(id, { ...so, [before.state]: Math.round((so[before.state] ?? 0) + at - before.at) })
    }
    entered.set(id, { state: point.slice('state:'.length) as MoveState, at })
  })
  return { of: (id: string) => took.get(id) ?? {}, close: () => runner.close() }
}

async function fill(system: TestSystem, slug: string, rows: number): Promise<void> {
  const { id, placement } = await system.control.tenant(slug)
  const sql = system.control.makerOf(placement!.cluster).admin(placement!.database)
  const table = `"${placement!.schema}".customers`
  await sql.unsafe(
    `insert into ${table} (tenant_id, id, name, email, company) overriding system value
     select $1, n, 'Customer ' || n, 'customer-' || n || '@example.com', repeat('x', ${FILLER}) from generate_series(1, ${rows}) n`,
    [id],
  )
  await sql.unsafe(`alter table ${table} alter column id restart with ${rows + 1}`)
  await sql.unsafe(`vacuum analyze ${table}`)
}

/** The same rows through the same two kinds of connection, into a table with nothing on it. */
async function pipe(system: TestSystem, slug: string, rows: number): Promise<number> {
  const { placement } = await system.control.tenant(slug)
  const { database, schema, cluster } = placement!
  const admin = [...system.config.regions.values()].map((r) => r.secrets!.clusters.get(cluster)).find((c) => c)!
    .adminUrl!
  const open = (to: string) => openMoverClient({ url: admin, database: to, tls: 'off', applicationName: 'bench-pipe' })
  const [from, to] = await Promise.all([open(database), open('postgres')])
  try {
    await to.script(`create table public.bench_pipe (tenant_id uuid, id bigint, name text, email text, company text, phone text,
      custom jsonb, created_at timestamptz)`)
    await from.query(`select count(*) from "${schema}".customers`)
    const started = performance.now()
    const columns = 'tenant_id, id, name, email, company, phone, custom, created_at'
    await from.copyTo(
      `copy "${schema}".customers (${columns}) to stdout (format binary)`,
      to,
      `copy public.bench_pipe (${columns}) from stdin (format binary)`,
    )
    return rows / ((performance.now() - started) / 1000)
  } finally {
    await to.script('drop table if exists public.bench_pipe')
    await Promise.all([from.close(), to.close()])
  }
}
