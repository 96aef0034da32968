import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import type { Tenants } from '../../../tiers/tenants.ts'
import { BUSY } from '../../support/busy.ts'
import { interfaceClient, type LoadClient, type LoadFailure } from './load-client.ts'

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

export interface LoadOptions {
  /** How many append, for each client. */
  readonly writers?: number
  /** How long the slow ones keep their transaction open, in milliseconds. */
  readonly holdMs?: number
  /** How long each of them rests between two requests, in milliseconds; 0 for as much as the machine has. */
  readonly pauseMs?: number
  /** Of requests that may fail: servers die. None where left out. */
  readonly mayFail?: readonly string[]
}

const ACCOUNTS = 6
const STAKE = 1000
/** Some hundred requests a second: with all that the machine has a move takes twice as long. */
const GENTLE_MS = 10
/** By which rows that loads have written are known. */
const MARK = 'load-'

/** The request was refused, as its code says: what it would have done was not done. */
const REFUSED: readonly string[] = ['cluster_unavailable', 'tenant_moving', 'overloaded', 'directory_unavailable']

/** The codes of what may happen to a request while a server, a gateway or a network dies. The last is a dead gateway's. */
export const FAULTS_MAY: readonly string[] = [...REFUSED, 'outcome_unknown', '']

/** What became of what one writer wrote. */
interface Written {
  readonly acknowledged: Set<string>
  readonly refused: Set<string>
}

/** {@link startLoadOn} through the interface alone. */
export function startLoad(tenants: Tenants<Record<string, unknown>>, slug: string, writers = 2): Promise<Load> {
  return startLoadOn(tenants, slug, [interfaceClient(tenants, slug)], { writers })
}

/**
 * Writes and reads in one tenant's room all the while, the same through every client: appended numbered rows, a counter,
 * transfers between two rows in one transaction, some of them slow, rows that come and go with their children; and reads
 * what it wrote, and a sum that never moves. A third and more of the writers have transactions of several statements.
 *
 * @param tenants by which everything is looked at in the end
 */
export async function startLoadOn(
  tenants: Tenants<Record<string, unknown>>,
  slug: string,
  clients: readonly LoadClient[],
  { writers = 1, holdMs = 120, pauseMs = GENTLE_MS, mayFail = [] }: LoadOptions = {},
): Promise<Load> {
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
  const tag = `${MARK}${Math.random().toString(36).slice(2, 8)}`
  const appended: Written = { acknowledged: new Set(), refused: new Set() }
  const removed: Written = { acknowledged: new Set(), refused: new Set() }
  const failures: string[] = []
  const anomalies: string[] = []
  const latenciesMs: number[] = []
  const counterBefore = Number((await run(`select color from "{room}".tags where name = 'counter'`))[0]!.color)
  let counted = 0
  let countedPerhaps = 0
  let stopped = false

  /** @returns undefined where it failed, and may have */
  const timed = async <T>(client: LoadClient, work: () => Promise<T>, onFailure?: (code: string) => void) => {
    const started = performance.now()
    try {
      return { value: await work() }
    } catch (error) {
      const { code, message } = error as LoadFailure
      onFailure?.(code)
      if (!mayFail.includes(code)) failures.push(`${client.name}: ${message}`)
      // What fails at once must not keep the machine busy.
      await sleep(10)
      return undefined
    } finally {
      latenciesMs.push(performance.now() - started)
    }
  }
  const loop = async (work: (n: number) => Promise<void>) => {
    // A few failures say it all; and what fails without asking the server would never let anything else run.
    for (let n = 0; !stopped && failures.length < 20; n++) {
      await work(n)
      if (pauseMs > 0) await sleep(pauseMs)
    }
  }
  const append = (client: LoadClient, writer: number) =>
    loop(async (n) => {
      const email = `${tag}-${client.name}-${writer}-${n}`
      const made = await timed(
        client,
        () => client.append(email, n % 3 ? null : ''),
        (code) => REFUSED.includes(code) && appended.refused.add(email),
      )
      if (made === undefined) return
      appended.acknowledged.add(email)
      const read = await timed(client, () => client.seen(email))
      if (read && read.value !== 1) anomalies.push(`${email} was written and read ${read.value} times`)
    })
  const comeAndGo = (client: LoadClient) =>
    loop(async (n) => {
      const email = `${tag}-${client.name}-gone-${n}`
      const come = await timed(client, () => client.come(email))
      if (come === undefined) return
      const gone = await timed(
        client,
        () => client.go(come.value),
        (code) => REFUSED.includes(code) && removed.refused.add(email),
      )
      if (gone !== undefined) removed.acknowledged.add(email)
    })
  const transfer = (client: LoadClient, heldMs: number) =>
    loop(async (n) => {
      const [from, to] = [n % ACCOUNTS, (n * 5 + 1) % ACCOUNTS]
      await timed(client, () => client.transfer(`account-${from}`, `account-${to}`, heldMs))
      if (heldMs > 0) await sleep(heldMs)
    })
  const sum = (client: LoadClient) =>
    loop(async () => {
      const read = await timed(client, () => client.sum())
      if (read && read.value !== ACCOUNTS * STAKE) anomalies.push(`the sum was ${read.value}`)
    })
  const count = (client: LoadClient) =>
    loop(async () => {
      const done = await timed(
        client,
        () => client.count(),
        (code) => {
          if (!REFUSED.includes(code)) countedPerhaps++
        },
      )
      if (done !== undefined) counted++
    })

  onTestFinished(() => {
    stopped = true
  })
  const all = clients.flatMap((c) => [
    ...Array.from({ length: writers }, (_, i) => append(c, i)),
    comeAndGo(c),
    transfer(c, 0),
    transfer(c, holdMs),
    sum(c),
    count(c),
  ])
  const look = async () => {
    const rows = await run(`select email, count(*)::int as n from "{room}".customers where email like $1 group by 1`, [
      `${tag}-%`,
    ])
    const here = new Map(rows.map((r) => [r.email as string, Number(r.n)]))
    for (const [email, n] of here) if (n !== 1) anomalies.push(`${email} is there ${n} times`)
    for (const email of appended.acknowledged) if (!here.has(email)) anomalies.push(`${email} is lost`)
    for (const email of appended.refused) if (here.has(email)) anomalies.push(`${email} was refused and is there`)
    for (const email of removed.acknowledged) if (here.has(email)) anomalies.push(`${email} was removed and is there`)
    for (const email of removed.refused)
      if (!here.has(email)) anomalies.push(`${email} is gone, and its removal was refused`)
    const children = await run(`select c.email, count(t.id)::int as n from "{room}".customers c
      left join "{room}".tickets t on t.customer_id = c.id where c.email like '${tag}-%-gone-%' group by 1`)
    for (const { email, n } of children) if (Number(n) !== 2) anomalies.push(`${email} has ${n} tickets of 2`)
    const orphans = await run(`select count(*)::int as n from "{room}".tickets t
      where not exists (select from "{room}".customers c where c.id = t.customer_id)`)
    if (Number(orphans[0]!.n) !== 0) anomalies.push(`${orphans[0]!.n} tickets without a customer`)
    const [counter] = await run(`select color from "{room}".tags where name = 'counter'`)
    const difference = Number(counter!.color) - counterBefore
    if (difference < counted || difference > counted + countedPerhaps)
      anomalies.push(`counted ${counted} (and perhaps ${countedPerhaps}), the counter says ${difference}`)
    const [total] = await run(`select sum(color::int)::int as sum from "{room}".tags where name like 'account-%'`)
    if (Number(total!.sum) !== ACCOUNTS * STAKE) anomalies.push(`the sum is ${total!.sum}`)
  }
  return {
    operations: () => latenciesMs.length,
    async stop(): Promise<LoadReport> {
      stopped = true
      await Promise.all(all)
      if (mayFail.length === 0) await look()
      else await untilServed(look)
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

/** Removes what loads before have appended: where one tenant is moved again and again, it would grow with every case. */
export async function forgetLoads(tenants: Tenants<Record<string, unknown>>, slug: string): Promise<void> {
  const text = `delete from "{room}".customers where id in
    (select id from "{room}".customers where email like '${MARK}%' limit 2000) returning id`
  while ((await tenants.session(slug).execute({ text, params: [] })).rows.length > 0);
}

/** Where servers died, connections to them may still be found dead. */
async function untilServed(look: () => Promise<void>): Promise<void> {
  const until = performance.now() + 5_000 * BUSY
  for (;;) {
    try {
      return await look()
    } catch (error) {
      if (performance.now() > until) throw error
      await sleep(100)
    }
  }
}

/** Nothing failed and nobody saw what was not so. */
export function expectNothingLost(report: LoadReport): void {
  expect(report.failures).toEqual([])
  expect(report.anomalies).toEqual([])
  expect(report.operations).toBeGreaterThan(50)
}
