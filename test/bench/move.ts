import { setTimeout as sleep } from 'node:timers/promises'
import { type ConfigInput, resolveConfig } from '../../config/index.ts'
import { type ControlPlane, openControlPlane } from '../../tiers/control/control-plane.ts'
import type { MoveState } from '../../tiers/move/states.ts'
import type { Move } from '../../tiers/move/types.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import type { Bench } from './bench.ts'
import { openAlternatives } from './move/alternatives.ts'
import { type LoadChild, startLoad } from './move/load-child.ts'
import { type PacedReport, quantile } from './move/paced.ts'
import { watchStolen } from './move/stolen.ts'
import type { Row } from './row.ts'
import { unlimited } from './world.ts'

const NEIGHBOURS = 50
const NEIGHBOUR_ROWS = 200
const WRITES_PER_SECOND = 300
const REQUESTS_PER_SECOND = 1_000
const SMALL_ROWS = 5_000
/** About as fast as rows are copied under load. */
const STILL_ROWS_PER_MS = 20
/** After a cut-over, until all who waited for it have been served. */
const AROUND_MS = 500

/**
 * A tenant moves out of the shared tables into a database of its own and back, again and again, while it is written to and
 * its neighbours on the same server are busy. Beside it, with the same rows and writers: what teams do by hand.
 */
export const move: Bench = {
  name: 'move',
  async run({ seconds, moves, long, note }) {
    const rows = long ? 1_000_000 : 100_000
    const neighbours = Array.from({ length: NEIGHBOURS }, (_, i) => `neighbour-${i + 1}`)
    const slugs = ['acme', 'small', ...neighbours]
    note(`move: making ${rows} rows`)
    const system = await startTestSystem({
      tenants: slugs.map((slug) => ({ slug, tier: 'free', region: 'us' })),
      configure: unlimited,
      // A room that was left is not needed longer than the next move takes to begin.
      moveSettings: { quarantineMs: 500 },
      settings: { wal_level: 'logical', max_wal_size: '4GB', shared_buffers: '512MB' },
    })
    try {
      await fill(system, 'acme', rows)
      await fill(system, 'small', SMALL_ROWS)
      for (const slug of neighbours) await fill(system, slug, NEIGHBOUR_ROWS)
      const [copied, soon] = await alone(system, rows, note)
      const result: Row[] = []
      const load = await startLoad({
        input: system.input,
        env: { ...system.env },
        tenant: 'acme',
        rows,
        writesPerSecond: WRITES_PER_SECOND,
        neighbours,
        neighbourRows: NEIGHBOUR_ROWS,
        requestsPerSecond: REQUESTS_PER_SECOND,
      })
      try {
        result.push(...(await underLoad(system, load, rows, moves, seconds, note)))
      } finally {
        await load.stop()
      }
      const { bare, results } = await byHand(system, rows, long ? 5 : 3, note)
      const of = 'a bare binary COPY'
      return [{ ...copied, ratios: { [of]: copied.value / bare } }, soon, ...result, ...results]
    } finally {
      await system.close()
    }
  },
}

/** Nothing else on the machine, and no throttle: how fast rows go; and how soon a small tenant is in its own database. */
async function alone(system: TestSystem, rows: number, note: (text: string) => void): Promise<[Row, Row]> {
  note('move: alone, without the throttle')
  const input: ConfigInput = { ...system.input, moves: { ...system.input.moves, throttle: 'off' } }
  const config = resolveConfig(input, { kind: 'control' }, system.env)
  const control = openControlPlane({
    config,
    migrationsFolder: system.migrationsFolder,
    moveSettings: { quarantineMs: 500 },
  })
  const runner = control.moves.run()
  try {
    const speeds: number[] = []
    const soon: number[] = []
    for (const tier of ['enterprise', 'free', 'enterprise', 'free']) {
      const { copyMs } = await moveTo(control, 'acme', tier)
      if (tier === 'enterprise') speeds.push(rows / (copyMs / 1_000))
      const small = await moveTo(control, 'small', tier)
      if (tier === 'enterprise') soon.push(small.servedMs)
    }
    return [
      {
        bench: `moves alone, ${rows.toLocaleString('en-US')} rows`,
        what: 'copy',
        value: Math.max(...speeds),
        unit: 'rows/s',
        goals: [{ of: 'rows/s', atLeast: 250_000 }],
      },
      {
        bench: `moves alone, ${SMALL_ROWS.toLocaleString('en-US')} rows`,
        what: 'from the call to its own database',
        value: Math.max(...soon),
        unit: 'ms',
        goals: [{ of: 'ms', atMost: 5_000 }],
      },
    ]
  } finally {
    await runner.close()
    await control.close()
  }
}

async function underLoad(
  system: TestSystem,
  load: LoadChild,
  rows: number,
  moves: number,
  seconds: number,
  note: (text: string) => void,
): Promise<Row[]> {
  const runner = system.control.moves.run()
  try {
    await sleep(2_000)
    await load.report()
    const waits: number[] = []
    // As long at a time as what is looked at around a cut-over.
    for (const until = performance.now() + Math.max(5, seconds) * 1_000; performance.now() < until; ) {
      await sleep(AROUND_MS)
      waits.push((await load.report()).writes.maxMs)
    }
    // As long as a copy: what is rare hardly shows in the 99th percentile of half a second.
    const still: PacedReport[] = []
    for (let i = 0; i < 3; i++) {
      await sleep(rows / STILL_ROWS_PER_MS)
      still.push((await load.report()).requests)
    }
    const p99Before = weightedMedian(still)
    const stolen = watchStolen()
    const host: number[] = []
    const pauses: number[] = []
    const fenced: number[] = []
    const during: PacedReport[] = []
    let failed = 0
    for (let i = 0; i < moves; i++) {
      const { pauseMs, fencedMs, reports } = await moveTo(
        system.control,
        'acme',
        i % 2 === 0 ? 'enterprise' : 'free',
        load,
      )
      pauses.push(pauseMs)
      fenced.push(fencedMs)
      const codes = reports.flatMap((r) => [r.writes, r.requests]).map((r) => JSON.stringify(r.failures))
      host.push(stolen() * 100)
      note(
        `move: ${i + 1} of ${moves} under load, ${pauseMs.toFixed(1)} ms, fenced ${fencedMs.toFixed(1)}; neighbours' p99 ${weightedMedian(reports.map((r) => r.requests)).toFixed(1)}, taken by the host ${host.at(-1)!.toFixed(0)} %; failed: ${codes.join(' ')}`,
      )
      for (const { writes, requests } of reports) {
        failed += writes.failed + requests.failed
        during.push(requests)
      }
    }
    for (const list of [pauses, fenced, waits, host]) list.sort((a, b) => a - b)
    const p99 = weightedMedian(during)
    const bench = `${moves} moves of ${rows.toLocaleString('en-US')} rows, ${WRITES_PER_SECOND} writes/s, neighbours ${REQUESTS_PER_SECOND} requests/s`
    const pause = (what: string, value: number, atMost: number): Row => ({
      bench,
      what,
      value,
      unit: 'ms',
      goals: [{ of: 'ms', atMost }],
    })
    return [
      pause('longest wait of a writer, p50 of the moves', quantile(pauses, 0.5), 10),
      pause('p99', quantile(pauses, 0.99), 50),
      pause('max', pauses.at(-1)!, 250),
      { bench, what: 'the same in as long without a move, p50', value: quantile(waits, 0.5), unit: 'ms' },
      { bench, what: 'of that, from the fence to the flip, p50', value: quantile(fenced, 0.5), unit: 'ms' },
      { bench, what: 'failed', value: failed, unit: 'requests', goals: [{ of: 'requests', atMost: 0 }] },
      { bench, what: "neighbours' p99 before", value: p99Before, unit: 'ms' },
      {
        bench,
        what: "neighbours' p99 during the moves",
        value: p99,
        unit: 'ms',
        ratios: { before: p99 / p99Before },
        goals: [{ of: 'before', atMost: 1.2 }],
      },
      { bench, what: 'of the processors, taken by the host, p50 of the moves', value: quantile(host, 0.5), unit: '%' },
    ]
  } finally {
    await runner.close()
  }
}

async function byHand(system: TestSystem, rows: number, times: number, note: (text: string) => void) {
  const { id, placement } = await system.control.tenant('acme')
  const { database, schema } = placement!
  const alternatives = await openAlternatives(system.servers.get('us')!, {
    database,
    schema,
    tenant: id,
    rows,
    writesPerSecond: WRITES_PER_SECOND,
  })
  const bench = `by hand, ${rows.toLocaleString('en-US')} rows, ${WRITES_PER_SECOND} writes/s, nobody else`
  try {
    const results: Row[] = []
    for (const { name, pause } of alternatives.all) {
      note(`move: ${name}`)
      const pauses: number[] = []
      for (let i = 0; i < times; i++) pauses.push(await pause())
      pauses.sort((a, b) => a - b)
      results.push({ bench, what: `${name}, longest wait, p50 of ${times}`, value: quantile(pauses, 0.5), unit: 'ms' })
    }
    return { bare: await alternatives.copyRowsPerSecond(), results }
  } finally {
    await alternatives.close()
  }
}

interface Moved {
  /** From the call until the tenant is served in its new room. */
  readonly servedMs: number
  /** While rows were copied, keys and indexes made. */
  readonly copyMs: number
  /** The longest that a writer waited around the cut-over. */
  readonly pauseMs: number
  /** By the mover's own clock, from the fence to the flip. */
  readonly fencedMs: number
  /** Of the load, before, during and after the cut-over. */
  readonly reports: readonly Awaited<ReturnType<LoadChild['report']>>[]
}

/** A state may last for a moment only: who waits for one waits for it or a later one. */
const WAY: readonly MoveState[] = ['copying', 'catching_up', 'verifying', 'cutting_over', 'watching']

/** Moves the tenant to a tier and completes the move. */
async function moveTo(control: ControlPlane, tenant: string, tier: string, load?: LoadChild): Promise<Moved> {
  const began = performance.now()
  const reports: Awaited<ReturnType<LoadChild['report']>>[] = []
  const { id } = await control.moves.start({ tenant, tier, by: 'bench' })
  const { moves } = control
  const from = async (state: MoveState) => assertGoing(await moves.reached(id, ...WAY.slice(WAY.indexOf(state))))
  await from('copying')
  const copying = performance.now()
  await from('catching_up')
  const copyMs = performance.now() - copying
  await from('cutting_over')
  // What the load felt until here is the work's doing, and not the pause's.
  if (load) reports.push(await load.report())
  await from('watching')
  const servedMs = performance.now() - began
  let pauseMs = 0
  if (load) {
    await sleep(AROUND_MS)
    const around = await load.report()
    reports.push(around)
    pauseMs = around.writes.maxMs
  }
  await moves.complete(id)
  assertGoing(await moves.reached(id, 'completed'))
  if (load) reports.push(await load.report())
  return { servedMs, copyMs, pauseMs, fencedMs: (await moves.get(id)).pauseMs ?? 0, reports }
}

function assertGoing(move: Move): void {
  if (['aborted', 'rolled_back'].includes(move.state)) throw new Error(`the move is ${move.state}: ${move.reason}`)
}

/** Of each report's p99, the median by how many requests it speaks for. */
function weightedMedian(reports: readonly PacedReport[]): number {
  const sorted = reports.toSorted((a, b) => a.p99Ms - b.p99Ms)
  const half = sorted.reduce((sum, r) => sum + r.count, 0) / 2
  let seen = 0
  for (const { count, p99Ms } of sorted) {
    seen += count
    if (seen >= half) return p99Ms
  }
  return 0
}

/** Customers of about 200 bytes each, numbered from 1. */
async function fill(system: TestSystem, slug: string, rows: number): Promise<void> {
  const { id, placement } = await system.control.tenant(slug)
  const { cluster, database, schema } = placement!
  const sql = system.control.makerOf(cluster).admin(database)
  await sql.unsafe(
    `insert into "${schema}".customers (tenant_id, id, name, email, company, phone, custom)
     overriding system value
     select $1, n, 'Customer ' || n, 'customer-' || n || '@example.com', 'Company ' || n % 1000, '+1 555 ' || n,
       jsonb_build_object('plan', n % 7, 'note', repeat('x', 60))
     from generate_series(1, ${rows}) n`,
    [id],
  )
  await sql.unsafe(
    `select setval(pg_get_serial_sequence('"${schema}".customers', 'id'), greatest(${rows}, (select max(id) from "${schema}".customers)))`,
  )
  await sql.unsafe(`analyze "${schema}".customers`)
}
