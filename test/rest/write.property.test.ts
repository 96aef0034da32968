import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Desk, openDesk } from './desk.ts'

let desk: Desk
beforeAll(async () => {
  desk = await openDesk()
  await desk.seed(`insert into customers (id, name, email) values (1, 'Ada', 'a')`)
})
afterAll(() => desk?.close())

const ROWS = { 'content-type': 'application/json', prefer: 'return=representation' }

async function send(method: string, path: string, body: unknown, headers: Record<string, string> = ROWS) {
  const response = await desk.fetch(path, { method, headers, body: JSON.stringify(body) })
  return { status: response.status, body: await response.json() }
}

/** Any text that PostgreSQL can hold: no NUL, and no half of a surrogate pair. */
const text = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .filter((value) => !value.includes('\0') && value.isWellFormed())
const json = fc
  .jsonValue({ noUnicodeString: false, maxDepth: 3 })
  .filter((value) => !JSON.stringify(value).includes('\\u') && !JSON.stringify(value).includes('e'))
const row = fc.record({
  title: text.filter((value) => [...value].length <= 60),
  priority: fc.integer({ min: 1, max: 5 }),
  status: fc.constantFrom('open', 'waiting', 'closed'),
  labels: fc.array(text, { maxLength: 4 }),
  // A JSON null in the payload is SQL's null.
  custom: fc.option(fc.dictionary(text, json, { maxKeys: 3 })),
})

describe('what is written', () => {
  it('comes back as it was sent, by the answer and by a later read, whatever it holds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 4 }), async (rows) => {
        const sent = JSON.parse(JSON.stringify(rows)) as object[]
        const payload = rows.map((value) => ({ ...value, customer_id: 1 }))
        const made = await send('POST', '/tickets?select=id,title,priority,status,labels,custom', payload)
        expect(made.status, JSON.stringify(made.body)).toBe(201)
        const ids = (made.body as { id: number }[]).map(({ id }) => id)
        expect(made.body).toEqual(sent.map((value, at) => ({ id: ids[at], ...value })))
        const read = await desk.fetch(`/tickets?select=title,priority,status,labels,custom&id=in.(${ids})&order=id`)
        expect(await read.json()).toEqual(sent)
      }),
      { numRuns: 150 },
    )
  })

  it('is found again by an equality filter on any text, alone and within a tree', async () => {
    await fc.assert(
      fc.asyncProperty(text, async (name) => {
        const made = await send('POST', '/tags?select=id', { name })
        const [{ id }] = made.body as [{ id: number }]
        const quoted = `"${name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
        const filters: [string, string][] = [
          ['name', `eq.${name}`],
          ['name', `in.(x,${quoted})`],
          ['or', `(id.lt.0,name.eq.${quoted})`],
        ]
        for (const [key, value] of filters) {
          const query = new URLSearchParams({ select: 'id', [key]: value, id: `eq.${id}` })
          expect(await (await desk.fetch(`/tags?${query}`)).json(), String(query)).toEqual([{ id }])
        }
      }),
      { numRuns: 150 },
    )
  })

  it('with missing=default each row takes the defaults of just the keys that it lacks', async () => {
    const part = fc.record(
      {
        priority: fc.integer({ min: 1, max: 5 }),
        status: fc.constantFrom('waiting', 'closed'),
        agent_id: fc.constant(null),
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 6 }), async (parts) => {
        const rows = parts.map((value, at) => ({ title: String(at), customer_id: 1, ...value }))
        const path =
          '/tickets?columns=title,customer_id,priority,status,agent_id&select=title,priority,status,agent_id&order=title'
        const made = await send('POST', path, rows, { ...ROWS, prefer: 'return=representation,missing=default' })
        const defaults = { priority: 3, status: 'open', agent_id: null }
        expect(made.body).toEqual(parts.map((value, at) => ({ title: String(at), ...defaults, ...value })))
      }),
      { numRuns: 60 },
    )
  })
})

describe('pages', () => {
  it('of any size put together are the whole, and every Content-Range is true', async () => {
    await desk.seed(`insert into tags (id, name) select n, 'tag ' || n from generate_series(1, 23) n`)
    const all = Array.from({ length: 23 }, (_, index) => ({ id: index + 1 }))
    await fc.assert(
      fc.asyncProperty(fc.nat(30), fc.integer({ min: 1, max: 30 }), fc.boolean(), async (offset, limit, byHeader) => {
        const query = byHeader ? '' : `&limit=${limit}&offset=${offset}`
        const range = byHeader ? { range: `${offset}-${offset + limit - 1}` } : {}
        const headers = { prefer: 'count=exact', ...range } as Record<string, string>
        const response = await desk.fetch(`/tags?select=id&order=id${query}`, { headers })
        const page = all.slice(offset, offset + limit)
        if (offset > all.length) {
          expect(response.status).toBe(416)
          return
        }
        const shown = page.length === 0 ? '*' : `${offset}-${offset + page.length - 1}`
        expect(response.headers.get('content-range')).toBe(`${shown}/23`)
        expect(response.status).toBe(page.length === 23 ? 200 : 206)
        expect(await response.json()).toEqual(page)
      }),
      { numRuns: 80 },
    )
  })
})
