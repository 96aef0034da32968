import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { assertStatement } from '../../tiers/room/command.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

const ALLOWED = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE']

let postgres: TestPostgres
let client: pg.Client
beforeAll(async () => {
  postgres = await startTestPostgres()
  client = new pg.Client({ connectionString: postgres.server.url() })
  await client.connect()
})
afterAll(async () => {
  await client?.end()
  await postgres?.stop()
})

/** What the server takes the text for: the tag of what it executed, or null where it is no statement at all. */
async function tagOf(text: string): Promise<string | null> {
  try {
    const result = await client.query({ text, queryMode: 'extended' } as pg.QueryConfig)
    return result.command
  } catch {
    return null
  }
}

const passes = (text: string) => {
  try {
    assertStatement(text)
    return true
  } catch {
    return false
  }
}

// What hides a first word: comments that nest or do not, their halves, every kind of space, strings and names.
const pieces = fc.constantFrom(
  '--',
  '/*',
  '*/',
  '/* x */',
  '\n',
  '\r',
  ' ',
  '\t',
  '\f',
  '(',
  ')',
  "'",
  '"',
  '$$',
  ';',
  '-',
  '/',
  '*',
  '\u00a0',
  '\ufeff',
  'x',
)
const words = fc.constantFrom(
  'select 1',
  'listen x',
  'show timezone',
  'set x.y = 1',
  'values (1)',
  'notify x',
  'with a as (select 1) select 1',
  'table pg_namespace',
  'SeLeCt 2',
  'discard plans',
)
const texts = fc
  .array(fc.oneof({ weight: 3, arbitrary: pieces }, { weight: 2, arbitrary: words }), { minLength: 1, maxLength: 10 })
  .map((parts) => parts.join(''))

test('no text that passes is executed as anything but a statement for a room', async () => {
  let executed = 0
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      if (!passes(text)) return
      const tag = await tagOf(text)
      if (tag === null) return
      executed++
      expect(ALLOWED, JSON.stringify(text)).toContain(tag)
    }),
    { numRuns: 6_000, seed: 1 },
  )
  expect(executed).toBeGreaterThan(100)
})

test('no statement for a room is turned away for how it is written', async () => {
  await fc.assert(
    // An empty statement before the first one is not worth a rule.
    fc.asyncProperty(
      texts.filter((text) => !text.includes(';')),
      async (text) => {
        const tag = await tagOf(text)
        if (tag !== null && ALLOWED.includes(tag)) expect(passes(text), JSON.stringify(text)).toBe(true)
      },
    ),
    { numRuns: 3_000, seed: 2 },
  )
})
