import fc from 'fast-check'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { quoteIdent, quoteLiteral } from '../../tiers/quote.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

let server: TestPostgres
let sql: postgres.Sql
beforeAll(async () => {
  server = await startTestPostgres()
  sql = postgres(server.server.url(), { max: 1, onnotice: () => {} })
})
afterAll(async () => {
  await sql?.end()
  await server?.stop()
})

const awkward = fc.string({
  unit: fc.constantFrom("'", '\\', '"', '$', ';', '--', '\n', 'E', 'é', '𝕏', 'x', '{room}'),
  minLength: 1,
  maxLength: 20,
})

test.each(['on', 'off'])(
  'a quoted value is the value, whatever is in it (standard_conforming_strings %s)',
  async (setting) => {
    await sql.unsafe(`set standard_conforming_strings = ${setting}`)
    await fc.assert(
      fc.asyncProperty(awkward, async (value) => {
        expect((await sql.unsafe(`select ${quoteLiteral(value)} as it, 1 as one`))[0]).toEqual({ it: value, one: 1 })
      }),
    )
    await sql.unsafe('reset standard_conforming_strings')
  },
)

test('a quoted name is the name, whatever is in it', async () => {
  await fc.assert(
    fc.asyncProperty(
      awkward.filter((name) => !name.includes('{room}') && Buffer.byteLength(name) < 60),
      async (name) => {
        const [row] = await sql.unsafe(`select 1 as ${quoteIdent(name)}`)
        expect(Object.keys(row!)).toEqual([name])
      },
    ),
  )
})

test('what PostgreSQL cannot hold is refused', () => {
  for (const value of ['\0', "a\0'"]) {
    expect(() => quoteLiteral(value)).toThrow(RangeError)
    expect(() => quoteIdent(value)).toThrow(RangeError)
  }
  expect(() => quoteIdent('')).toThrow(RangeError)
})
