import assert from 'node:assert/strict'
import type { Isolation } from '../../../tiers/types.ts'
import { fingerprint, type Party, type Rows, type World } from './world.ts'

/** One guarantee that an attacker in A's application tries to break. It throws when the attack gets through. */
export interface Check {
  readonly name: string
  /** Of PROTOCOL.md, or the page's own words. */
  readonly rule: string
  /** All three where left out. */
  readonly only?: readonly Isolation[]
  run(world: World): Promise<void>
}

/** What a statement came to: its rows, or its error with all that the server said. */
export interface Outcome {
  readonly rows: Rows | null
  readonly code: string | null
  readonly text: string
}

export async function outcomeOf(running: Promise<Rows>): Promise<Outcome> {
  try {
    const rows = await running
    return { rows, code: null, text: JSON.stringify(rows) }
  } catch (error) {
    const { code, message, cause } = error as { code?: string; message: string; cause?: object }
    // An error of a driver keeps the server's fields as its own properties.
    const text = `${message} ${JSON.stringify({ ...(error as object) })} ${cause ? JSON.stringify({ ...cause }) : ''}`
    return { rows: null, code: code ?? 'none', text }
  }
}

/** Nothing that came back, rows or error, holds a word of B's. */
export function assertNoTrace(outcome: Outcome, of: Party, attack: string): void {
  assert.ok(!outcome.text.includes(of.marker), `${attack} brought data of the other tenant: ${outcome.text}`)
}

/** @param codes SQLSTATEs or codes of InnkeeperError that say no */
export async function assertRefused(
  running: Promise<Rows>,
  codes: readonly string[],
  attack: string,
): Promise<Outcome> {
  const outcome = await outcomeOf(running)
  assert.ok(outcome.code !== null, `${attack} was not refused: ${outcome.text.slice(0, 300)}`)
  assert.ok(
    codes.includes(outcome.code),
    `${attack} was refused by ${outcome.code}, not ${codes.join('/')}: ${outcome.text}`,
  )
  return outcome
}

/** What B's statements depend on in a session: every setting but the name, and that B sees its rows and no others. */
const HEALTH = `select (select jsonb_object_agg(name, setting) from pg_settings
    where name not in ('application_name', 'transaction_read_only', 'in_hot_standby')) as settings,
  (select count(*)::int from "{room}".customers) as customers,
  (select count(*)::int from "{room}".customers where name not like $1) as foreign_rows,
  current_user as role, session_user as login`

async function healthOf(world: World, party: Party): Promise<Record<string, unknown>> {
  const [row] = await world.inject(party, HEALTH, [`${party.marker}%`])
  return row!
}

const baselines = new WeakMap<World, Record<string, unknown>>()

/**
 * Runs a check with what every attack must leave alone: not one of B's rows has changed, and on the connection that A
 * had before, B works as on a new one.
 */
export async function runCheck(check: Check, world: World): Promise<void> {
  const { b } = world
  if (!baselines.has(world)) baselines.set(world, await healthOf(world, b))
  const before = await fingerprint(world.root(b), b)
  await check.run(world)
  assert.deepEqual(
    await healthOf(world, b),
    baselines.get(world),
    'the session that the attack left is not as a new one',
  )
  assert.equal(await fingerprint(world.root(b), b), before, "the attack changed the other tenant's rows")
}

export function appliesTo(check: Check, isolation: Isolation): boolean {
  return check.only?.includes(isolation) ?? true
}
