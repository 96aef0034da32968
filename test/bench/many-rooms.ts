import { readFile } from 'node:fs/promises'
import type { TestSystem } from '../support/system.ts'
import type { Bench } from './bench.ts'
import { type Case, inTurns } from './measure.ts'
import type { Row } from './row.ts'

const WORKERS = 40
const MAKERS = 4
/** The tables that a tenant of the demo works with, one after the other. */
const TABLES = ['customers', 'agents', 'tickets', 'comments', 'tags']

/** Many rooms, each asked in its turn through at most 40 connections: how fast, and how large the backends become. */
export const manyRooms: Bench = {
  name: 'rooms',
  async run({ system, seconds, long, note }) {
    return [
      ...(await touched(system, 'schema', 'pro', long ? 2_000 : 200, seconds, note)),
      ...(await touched(system, 'database', 'enterprise', long ? 200 : 20, seconds, note)),
    ]
  },
}

async function touched(
  system: TestSystem,
  kind: 'schema' | 'database',
  tier: string,
  rooms: number,
  seconds: number,
  note: (text: string) => void,
): Promise<Row[]> {
  const slugs = Array.from({ length: rooms }, (_, i) => `${kind}-${i}`)
  note(`rooms: making ${rooms} of the kind ${kind}`)
  let next = 0
  await Promise.all(
    Array.from({ length: MAKERS }, async () => {
      while (next < slugs.length) await system.control.createTenant({ slug: slugs[next++]!, tier, region: 'us' })
    }),
  )
  const tenants = await system.openTenants('us')
  try {
    let turn = 0
    const roundRobin: Case = () => () => {
      const slug = slugs[turn % rooms]!
      const table = TABLES[Math.floor(turn++ / rooms) % TABLES.length]
      return tenants.session(slug).execute({ text: readOf(table!), params: [1] })
    }
    const one: Case = () => () => tenants.session(slugs[0]!).execute({ text: readOf('customers'), params: [1] })
    const measured = await inTurns({ 'one room': one, 'round robin': roundRobin }, { seconds, workers: WORKERS })
    // Each table of each room at least once, whatever the time was.
    for (const _ of Array.from({ length: TABLES.length })) {
      let at = 0
      await Promise.all(
        Array.from({ length: WORKERS }, async (_, worker) => {
          const run = roundRobin(worker)
          while (at++ < rooms) await run()
        }),
      )
    }
    const backends = await privateBytes(system)
    const bench = `${rooms} ${kind === 'schema' ? 'schemas of six tables' : 'databases'}, ${WORKERS} connections`
    return [
      { bench, what: 'one room', value: measured['one room'].opsPerSecond, unit: 'op/s' },
      {
        bench,
        what: 'each in its turn',
        value: measured['round robin'].opsPerSecond,
        unit: 'op/s',
        ratios: { 'one room': measured['round robin'].ratioTo('one room') },
      },
      {
        bench,
        what: `largest of ${backends.length} backends`,
        value: Math.max(...backends) / 1e6,
        unit: 'MB',
        ...(kind === 'schema' ? { goals: [{ of: 'MB', atMost: 64 }] } : {}),
      },
    ]
  } finally {
    await tenants.close()
  }
}

const readOf = (table: string) => `select * from "{room}"."${table}" where id = $1`

/** The memory that each gateway's backend has to itself, in bytes, as the kernel counts it. */
async function privateBytes(system: TestSystem): Promise<number[]> {
  const sql = system.control.makerOf('us-1').admin('postgres')
  const rows = await sql<{ pid: number }[]>`select pid from pg_stat_activity where usename = 'innkeeper_app'`
  return Promise.all(
    rows.map(async ({ pid }) => {
      const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
      const kilobytes = [...text.matchAll(/^Private_\w+:\s+(\d+) kB$/gm)].reduce((sum, m) => sum + Number(m[1]), 0)
      return kilobytes * 1024
    }),
  )
}
