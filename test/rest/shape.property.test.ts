import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Desk, openDesk, SEED } from './desk.ts'

/** Random requests that the dialect allows: any shape of select, embeds, filters and order over the help desk. */

let desk: Desk
beforeAll(async () => {
  desk = await openDesk()
  await desk.seed(SEED)
})
afterAll(() => desk?.close())

interface TableShape {
  readonly columns: readonly string[]
  /** What can be embedded, by how it is written; and whether it is to-one. */
  readonly embeds: Readonly<Record<string, { readonly table: string; readonly one: boolean }>>
}

const TABLES: Readonly<Record<string, TableShape>> = {
  customers: {
    columns: ['id', 'name', 'phone', 'vip'],
    embeds: { tickets: { table: 'tickets', one: false }, profiles: { table: 'profiles', one: true } },
  },
  profiles: { columns: ['customer_id', 'bio'], embeds: { customers: { table: 'customers', one: true } } },
  agents: {
    columns: ['id', 'name', 'manager_id'],
    embeds: {
      'tickets!tickets_agent_fkey': { table: 'tickets', one: false },
      manager_id: { table: 'agents', one: true },
      'agents!manager_id': { table: 'agents', one: false },
    },
  },
  tickets: {
    columns: ['id', 'title', 'status', 'amount', 'custom->size->cm', 'custom->>room', 'labels', 'labels->0'],
    embeds: {
      customers: { table: 'customers', one: true },
      'agents!agent_id': { table: 'agents', one: true },
      comments: { table: 'comments', one: false },
      tags: { table: 'tags', one: false },
    },
  },
  comments: { columns: ['id', 'body', 'internal'], embeds: { tickets: { table: 'tickets', one: true } } },
  tags: { columns: ['id', 'name'], embeds: { tickets: { table: 'tickets', one: false } } },
}

interface Level {
  /** The text between the parentheses of select. */
  readonly select: string
  /** Parameters, with the path to this level still to be put before them. */
  readonly params: readonly Parameter[]
}

type Parameter = readonly [key: string, value: string]

interface EmbedText {
  readonly text: string
  /** How the parent's parameters call it. */
  readonly name: string
  readonly nullTest: string | null
  readonly orderBy: string | null
  readonly params: readonly Parameter[]
}

const orders = fc.constantFrom('', '.desc', '.asc.nullsfirst', '.desc.nullslast')

function level(table: string, depth: number): fc.Arbitrary<Level> {
  const { columns, embeds } = TABLES[table]!
  const column = fc.constantFrom(...columns)
  const targets = depth === 0 ? [] : Object.entries(embeds)
  const embedding = targets.map(([target, to]) => fc.option(embed(target, to.table, to.one, depth - 1), { freq: 2 }))
  return fc
    .record({
      columns: fc.uniqueArray(
        fc.oneof(
          column,
          fc.constant('*'),
          column.map((name) => `as_${name.length}:${name}::text`),
        ),
        { maxLength: 3 },
      ),
      embeds: fc.tuple(...embedding),
      filter: fc.option(fc.tuple(column, fc.constantFrom('is.null', 'not.is.null', 'is.not_null')), { freq: 3 }),
      tree: fc.option(fc.constantFrom('or', 'not.and'), { freq: 3 }),
      order: fc.option(fc.tuple(column, orders), { freq: 2 }),
      limit: fc.option(fc.nat(3), { freq: 4 }),
    })
    .map(({ columns: shown, embeds: inner, filter, tree, order, limit }) => {
      const found = inner.filter((value) => value !== null)
      const key = columns[0]!
      const params: Parameter[] = found.flatMap((value) => value.params)
      if (filter !== null) params.push([filter[0], filter[1]])
      if (tree !== null) params.push([tree, `(${key}.gt.0,not.or(${key}.eq.1,${key}.in.(2,3)))`])
      for (const value of found) if (value.nullTest !== null) params.push([value.name, value.nullTest])
      const terms = order === null ? [] : [`${order[0]}${order[1]}`]
      for (const value of found) if (value.orderBy !== null) terms.push(value.orderBy)
      if (terms.length > 0) params.push(['order', terms.join(',')])
      if (limit !== null) params.push(['limit', String(limit)])
      return { select: [...shown, ...found.map((value) => value.text)].join(','), params }
    })
}

function embed(target: string, table: string, one: boolean, depth: number): fc.Arbitrary<EmbedText> {
  return fc
    .record({
      inside: level(table, depth),
      aliased: fc.boolean(),
      inner: fc.boolean(),
      spread: fc.boolean(),
      counted: fc.boolean(),
      nullTest: fc.option(fc.constantFrom('is.null', 'not.is.null'), { freq: 4 }),
      ordered: fc.boolean(),
    })
    .map(({ inside, aliased, inner, spread, counted, nullTest, ordered }) => {
      const alias = `e_${target.replaceAll('!', '_')}`
      const name = aliased && !spread ? alias : target.split('!')[0]!
      const select = counted && !one ? 'count()' : inside.select
      const params = counted && !one ? [] : inside.params
      const text = `${spread ? '...' : name === alias ? `${alias}:` : ''}${target}${inner ? '!inner' : ''}(${select})`
      return {
        text,
        name,
        nullTest,
        orderBy: one && ordered ? `${name}(${TABLES[table]!.columns[0]}).desc` : null,
        params: params.map(([key, value]): Parameter => [`${name}.${key}`, value]),
      }
    })
}

const request = fc.constantFrom(...Object.keys(TABLES)).chain((table) =>
  fc.record({
    table: fc.constant(table),
    level: level(table, 3),
    count: fc.constantFrom('', 'count=exact', 'count=planned'),
  }),
)

describe('any request that the dialect allows', () => {
  it('makes a statement that the database runs, and its count is that of its rows', async () => {
    await fc.assert(
      fc.asyncProperty(request, async ({ table, level: { select, params }, count }) => {
        const query = new URLSearchParams([
          ['select', select],
          ...params.map(([key, value]): [string, string] => [key, value]),
        ])
        const response = await desk.fetch(`/${table}?${query}`, { headers: { prefer: count } })
        const body = (await response.json()) as unknown[]
        expect([200, 206], `${query}\n${JSON.stringify(body)}`).toContain(response.status)
        expect(Array.isArray(body)).toBe(true)
        const total = response.headers.get('content-range')!.split('/')[1]
        if (count !== '' && !query.has('limit')) expect(total).toBe(String(body.length))
        expect(JSON.stringify(body)).not.toContain('tenant_id')
      }),
      { numRuns: 400 },
    )
  })
})
