import { expect } from 'vitest'
import type { Tenants } from '../../../tiers/tenants.ts'

export interface Load {
  /** Stops the writers and readers, waits for them, and says what they saw. */
  stop(): Promise<LoadReport>
  readonly operations: () => number
}

export interface LoadReport {
  readonly operations: number
  /** Requests that failed. Not one may, whatever moves. */
  readonly failures: readonly string[]
  /** What a reader saw and must never see. */
  readonly anomalies: readonly string[]
  /** The longest that one request took, in milliseconds. */
  readonly slowestMs: number
  readonly latenciesMs: readonly number[]
}

const ACCOUNTS = 6
const STAKE = 1000

/**
 * Writes and reads in one tenant's room without a pause: appended numbered rows, a counter, transfers between two rows in
 * one transaction, rows that come and go with their children; and reads what it wrote, and a sum that never moves.
 */
export async function startLoad(tenants: Tenants<Record<string, unknown>>, slug: string, writers = 2) {
  const session = tenants.session(slug)
  const run = async (text: string, params: unknown[] = []) =>
    (await session.execute({ text, params })).rows as Record<string, unknown>[]
  for (let i = 0; i < ACCOUNTS; i++) {
    await run(`insert into "{room}".tags (name, color) values ($1, $2) on conflict do nothing`, [
      `account-${i}`,
      String(STAKE),
    ])
  }
  await run(`insert into "{room}".tags (name, color) values ('counter', '0') on conflict do nothing`)
  const tag = Math.random().toString(36).slice(2, 8)
  const appended = new Set<string>()
  const removed = new Set<string>()
  const failures: string[] = []
  const anomalies: string[] = []
  const latenciesMs: number[] = []
  const counterBefore = Number((await run(`select color from "{room}".tags where name = 'counter'`))[0]!.color)
  let counted = 0
  let stopped = false

  const timed = async <T>(what: string, work: () => Promise<T>): Promise<T | undefined> => {
    const started = performance.now()
    try {
      return await work()
    } catch (error) {
      failures.push(`${what}: ${(error as Error).message} ${(error as { cause?: Error }).cause?.message ?? ''}`)
      return undefined
    } finally {
      latenciesMs.push(performance.now() - started)
    }
  }
  const loop = async (work: (n: number) => Promise<void>) => {
    // A few failures say it all; and what fails without asking the server would never let anything else run.
    for (let n = 0; !stopped && failures.length < 20; n++) await work(n)
  }
  const append = (writer: number) =>
    loop(async (n) => {
      const email = `${tag}-${writer}-${n}`
      const made = await timed('append', () =>
        run(`insert into "{room}".customers (name, email, company) values ('x', $1, $2) returning id`, [
          email,
          n % 3 ? null : '',
        ]),
      )
      if (made === undefined) return
      appended.add(email)
      const read = await timed('read', () => run(`select id from "{room}".customers where email = $1`, [email]))
      if (read !== undefined && read.length !== 1) anomalies.push(`${email} was written and read ${read.length} times`)
    })
  const comeAndGo = () =>
    loop(async (n) => {
      const email = `${tag}-gone-${n}`
      const done = await timed('come', () =>
        session.transaction(async (tx) => {
          const [customer] = (
            await tx.execute({
              text: `insert into "{room}".customers (name, email) values ('y', $1) returning id`,
              params: [email],
            })
          ).rows as { id: string }[]
          await tx.execute({
            text: `insert into "{room}".tickets (customer_id, subject) values ($1, 's'), ($1, 't')`,
            params: [customer!.id],
          })
          return customer!.id
        }),
      )
      if (done === undefined) return
      const gone = await timed('go', () => run(`delete from "{room}".customers where id = $1`, [done]))
      if (gone !== undefined) removed.add(email)
    })
  const transfer = () =>
    loop(async (n) => {
      const [from, to] = [n % ACCOUNTS, (n * 5 + 1) % ACCOUNTS]
      await timed('transfer', () =>
        session.transaction(async (tx) => {
          const move = (name: string, by: number) =>
            tx.execute({
              text: `update "{room}".tags set color = (color::int + $2)::text where name = $1`,
              params: [name, by],
            })
          // In one order, so that two of them never wait for each other.
          for (const i of [from, to].sort()) await move(`account-${i}`, from === to ? 0 : i === from ? -1 : 1)
        }),
      )
    })
  const sum = () =>
    loop(async () => {
      const rows = await timed('sum', () =>
        run(`select sum(color::int)::int as sum from "{room}".tags where name like 'account-%'`),
      )
      if (rows !== undefined && Number(rows[0]!.sum) !== ACCOUNTS * STAKE) anomalies.push(`the sum was ${rows[0]!.sum}`)
    })
  const count = () =>
    loop(async () => {
      const done = await timed('count', () =>
        run(`update "{room}".tags set color = (color::int + 1)::text where name = 'counter'`),
      )
      if (done !== undefined) counted++
    })

  const all = [...Array.from({ length: writers }, (_, i) => append(i)), comeAndGo(), transfer(), sum(), count()]
  return {
    operations: () => latenciesMs.length,
    async stop(): Promise<LoadReport> {
      stopped = true
      await Promise.all(all)
      const rows = await run(
        `select email, count(*)::int as n from "{room}".customers where email like $1 group by 1`,
        [`${tag}-%`],
      )
      const here = new Map(rows.map((r) => [r.email as string, Number(r.n)]))
      for (const email of appended)
        if (here.get(email) !== 1) anomalies.push(`${email} is there ${here.get(email) ?? 0} times`)
      for (const email of removed) if (here.has(email)) anomalies.push(`${email} was removed and is there`)
      const orphans = await run(`select count(*)::int as n from "{room}".tickets t
        where not exists (select from "{room}".customers c where c.id = t.customer_id)`)
      if (Number(orphans[0]!.n) !== 0) anomalies.push(`${orphans[0]!.n} tickets without a customer`)
      const [counter] = await run(`select color from "{room}".tags where name = 'counter'`)
      if (Number(counter!.color) !== counterBefore + counted)
        anomalies.push(`counted ${counted}, the counter says ${Number(counter!.color) - counterBefore}`)
      return {
        operations: latenciesMs.length,
        failures,
        anomalies,
        slowestMs: latenciesMs.reduce((a, b) => Math.max(a, b), 0),
        latenciesMs,
      }
    },
  }
}

/** Nothing failed and nobody saw what was not so. */
export function expectNothingLost(report: LoadReport): void {
  expect(report.failures).toEqual([])
  expect(report.anomalies).toEqual([])
  expect(report.operations).toBeGreaterThan(50)
}
