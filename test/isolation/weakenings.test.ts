import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ticketKey } from '../../tiers/room/keys.ts'
import { ISOLATIONS, type Isolation, type Tenant } from '../../tiers/types.ts'
import { cloneDatabase, rekeyDatabase } from './support/clone.ts'
import { CLUSTER, type Lab, startLab } from './support/lab.ts'
import { openWorld, type Party, partyOf, seed, type WorldFacts } from './support/world.ts'
import type { MutantAnswer, MutantOrder } from './weakenings/mutant.ts'
import { firstCaught } from './weakenings/run.ts'
import { SQL_WEAKENINGS, type SqlWeakening } from './weakenings/sql.ts'
import { SOURCE_WEAKENINGS, type SourceWeakening } from './weakenings/typescript.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '')
const MUTANT = fileURLToPath(new URL('./weakenings/mutant.ts', import.meta.url))

let lab: Lab
const caught = new Map<string, string>()

beforeAll(async () => {
  lab = await startLab()
  for (const { a, b } of Object.values(lab.pairs)) {
    for (const party of [partyOf(a, 'a'), partyOf(b, 'b')]) {
      const sql = lab.root(party.placement.database)
      await seed(sql, party)
    }
  }
  // A database that somebody is in cannot be copied.
  await lab.leave()
})
afterAll(() => lab?.close())

let clones = 0
/** Both tenants of a model, in copies of their databases. */
async function clonedFacts(isolation: Isolation): Promise<WorldFacts> {
  const copies = new Map<string, string>()
  const copyOf = async (tenant: Tenant, letter: 'a' | 'b'): Promise<Party> => {
    const placement = tenant.placement!
    let copy = copies.get(placement.database)
    if (copy === undefined) {
      copy = `weak_${++clones}`
      copies.set(placement.database, copy)
      await cloneDatabase(lab.root('postgres'), placement.database, copy)
    }
    return partyOf(tenant, letter, { ...placement, database: copy })
  }
  const { a, b } = lab.pairs[isolation]
  return { isolation, a: await copyOf(a, 'a'), b: await copyOf(b, 'b'), env: lab.env }
}

async function dropClones(facts: WorldFacts): Promise<void> {
  for (const name of new Set([facts.a.placement.database, facts.b.placement.database])) {
    await lab.root('postgres').unsafe(`drop database ${name} with (force)`)
  }
}

async function runSql(weakening: SqlWeakening | null, checks: readonly string[], others = true): Promise<MutantAnswer> {
  const cloned = await clonedFacts('shared')
  const world = openWorld(weakening?.facts?.(cloned) ?? cloned)
  const sql = world.root(world.a)
  try {
    await rekeyDatabase(
      sql,
      ticketKey(Buffer.from(lab.env.INNKEEPER_US_KEY!, 'base64'), CLUSTER),
      world.a.placement.database,
    )
    await weakening?.apply(sql)
    return await firstCaught(world, checks, others)
  } finally {
    await weakening?.undo?.(sql)
    await world.close()
    await dropClones(cloned)
  }
}

async function runSource(
  weakening: SourceWeakening | null,
  isolation: Isolation,
  checks: readonly string[],
): Promise<MutantAnswer> {
  const { a, b } = lab.pairs[isolation]
  const facts = weakening?.directory
    ? { isolation, a: partyOf(a, 'a'), b: partyOf(b, 'b'), env: lab.env, directory: true }
    : await clonedFacts(isolation)
  try {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MUTANT], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const order: MutantOrder = { root: ROOT, weakening, facts, checks, others: weakening !== null }
    child.stdin.end(JSON.stringify(order))
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
    if (out === '') throw new Error(`The process of "${weakening?.name}" gave no answer: ${err}`)
    return JSON.parse(out) as MutantAnswer
  } finally {
    if (!weakening?.directory) await dropClones(facts)
  }
}

test('what the weakenings are measured by passes where nothing is weakened', async () => {
  const names = [...new Set(SQL_WEAKENINGS.map((w) => w.check))]
  expect(await runSql(null, names, false)).toEqual({ caughtBy: null, error: '' })
  // In a process of its own too, on each model, with the directory and without.
  for (const isolation of ISOLATIONS) {
    const mine = SOURCE_WEAKENINGS.filter((w) => w.isolation === isolation).map((w) => w.check)
    expect(await runSource(null, isolation, mine)).toEqual({ caughtBy: null, error: '' })
  }
}, 120_000)

test.for(SQL_WEAKENINGS)('a database is caught in which $name', async (weakening) => {
  const answer = await runSql(weakening, [weakening.check])
  expect(answer.caughtBy, 'no check has noticed').not.toBeNull()
  caught.set(weakening.name, answer.caughtBy!)
})

test.for(SOURCE_WEAKENINGS)('a data layer is caught that has this fault: $name', async (weakening) => {
  const answer = await runSource(weakening, weakening.isolation, [weakening.check])
  expect(answer.caughtBy, 'no check has noticed').not.toBeNull()
  caught.set(weakening.name, answer.caughtBy!)
})

test('at least 24 weakenings are caught, and the list says by what', () => {
  console.log([...caught].map(([name, check]) => `${name.padEnd(64)} ${check}`).join('\n'))
  expect(caught.size).toBe(SQL_WEAKENINGS.length + SOURCE_WEAKENINGS.length)
  expect(caught.size).toBeGreaterThanOrEqual(24)
})
