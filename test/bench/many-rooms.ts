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
    const largest = await largestBackend(system, async (look) => {
      for (const table of TABLES) {
        for (const [i, slug] of slugs.entries()) {
          await tenants.session(slug).execute({ text: readOf(table), params: [1] })
          if (i % 100 === 0) await look()
        }
      }
      await look()
    })
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
        what: 'largest backend, all tables of all rooms',
        value: largest / 1e6,
        unit: 'MB',
        ...(kind === 'schema' ? { goals: [{ of: 'MB', atMost: 64 }] } : {}),
      },
    ]
  } finally {
    await tenants.close()
  }
}

const readOf = (table: string) => `select * from "{room}"."${table}" where id = $1`

/** The most private memory that a backend of the gateway had whenever it was looked at, in bytes. */
async function largestBackend(system: TestSystem, work: (look: () => Promise<void>) => Promise<void>): Promise<number> {
  const sql = system.control.makerOf('us-1').admin('postgres')
  let largest = 0
  await work(async () => {
    const rows = await sql<{ pid: number }[]>`select pid from pg_stat_activity where usename = 'innkeeper_app'`
    for (const { pid } of rows) largest = Math.max(largest, await privateBytes(pid))
  })
  return largest
}

/** As the kernel counts it; nothing of a process that has ended meanwhile. */
async function privateBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  return [...text.matchAll(/^Private_\w+:\s+(\d+) kB$/gm)].reduce((sum, m) => sum + Number(m[1]) * 1024, 0)
}
