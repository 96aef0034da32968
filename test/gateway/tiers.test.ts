import { PostgrestClient } from '@supabase/postgrest-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { US_TENANTS } from '../support/system.ts'
import { type Client, SECRETS, startWorld, supabase, type TestGateway, type World } from './support.ts'

const SLUGS = US_TENANTS.map((t) => t.slug)

let world: World
let gateway: TestGateway
beforeAll(async () => {
  // Another tenant of the pool has rows too, with the same ids.
  world = await startWorld({ tenants: [{ slug: 'umbrella', tier: 'free', region: 'us' }, ...US_TENANTS] })
  gateway = await world.gateway()
  await seed(supabase(world, gateway, 'umbrella'), 'umbrella')
})
afterAll(() => world?.close())

const CUSTOMERS = Array.from({ length: 30 }, (_, n) => ({
  id: n + 1,
  name: `Customer ${n + 1}`,
  email: `c${n + 1}@example.com`,
  company: n % 3 === 0 ? null : `Company, "${n % 4}"`,
  custom: { seats: n, tags: ['a', `t${n % 2}`], nested: { deep: n % 5 } },
  created_at: `2026-01-${String(n + 1).padStart(2, '0')}T10:00:00+00:00`,
}))
const AGENTS = [
  { id: 1, name: 'Ada', email: 'ada@example.com', active: true, created_at: '2026-01-01T00:00:00+00:00' },
  { id: 2, name: 'Bob', email: 'bob@example.com', active: false, created_at: '2026-01-01T00:00:00+00:00' },
]
const TICKETS = Array.from({ length: 60 }, (_, n) => ({
  id: n + 1,
  customer_id: (n % 30) + 1,
  agent_id: n % 3 === 0 ? null : (n % 2) + 1,
  subject: `Ticket ${n + 1}`,
  status: ['open', 'pending', 'resolved', 'closed'][n % 4],
  priority: ['low', 'normal', 'high'][n % 3],
  created_at: '2026-02-01T00:00:00+00:00',
  updated_at: '2026-02-01T00:00:00+00:00',
}))

async function seed(client: Client, mark: string): Promise<void> {
  for (const [table, rows] of [
    ['customers', CUSTOMERS.map((c) => (mark === 'umbrella' ? { ...c, name: `umbrella ${c.id}` } : c))],
    ['agents', AGENTS],
    ['tickets', TICKETS],
    ['tags', [1, 2, 3].map((id) => ({ id, name: `tag-${id}` }))],
    ['ticket_tags', TICKETS.slice(0, 9).map(({ id }) => ({ ticket_id: id, tag_id: (id % 3) + 1 }))],
    [
      'comments',
      TICKETS.slice(0, 9).map(({ id }) => ({
        id,
        ticket_id: id,
        body: `On ${id}`,
        created_at: '2026-02-02T00:00:00+00:00',
      })),
    ],
  ] as const) {
    const { error } = await client.from(table).insert(rows as never)
    expect(error).toBeNull()
  }
}

/** Everything that the official client is used for, in order; each answer as the client gives it. */
const SESSION: Record<string, (c: Pick<Client, 'from'>) => PromiseLike<unknown>> = {
  all: (c) => c.from('customers').select().order('id'),
  filters: (c) =>
    c
      .from('customers')
      .select('id,name')
      .gt('id', 3)
      .lte('id', 9)
      .like('name', '%er%')
      .neq('id', 5)
      .order('id', { ascending: false }),
  inList: (c) => c.from('tickets').select('id').in('status', ['open', 'closed']).is('agent_id', null).order('id'),
  or: (c) => c.from('tickets').select('id').or('priority.eq.high,and(status.eq.open,id.lt.10)').order('id'),
  contains: (c) =>
    c
      .from('customers')
      .select('id')
      .contains('custom', { nested: { deep: 2 } })
      .order('id'),
  jsonPath: (c) =>
    c
      .from('customers')
      .select('id,deep:custom->nested->deep,seats:custom->>seats')
      .order('custom->seats', { ascending: false })
      .limit(3),
  quoted: (c) => c.from('customers').select('id').eq('company', 'Company, "1"').order('id'),
  range: (c) => c.from('tickets').select('id', { count: 'exact' }).order('id').range(10, 14),
  pastTheEnd: (c) => c.from('tickets').select('id', { count: 'exact' }).range(1000, 1010),
  headCount: (c) => c.from('tickets').select('*', { count: 'exact', head: true }).eq('status', 'open'),
  planned: (c) => c.from('tickets').select('id', { count: 'planned' }).limit(2).order('id'),
  single: (c) => c.from('customers').select('id,email').eq('id', 7).single(),
  singleOfMany: (c) => c.from('customers').select('id').single(),
  maybeNone: (c) => c.from('customers').select('id').eq('id', 999).maybeSingle(),
  csv: (c) => c.from('agents').select('id,name').order('id').csv(),
  toOne: (c) => c.from('tickets').select('id,customer:customers(name,company),agents(name)').order('id').limit(4),
  toMany: (c) =>
    c
      .from('customers')
      .select('id,tickets(id,status,comments(body))')
      .order('id')
      .order('id', { referencedTable: 'tickets' })
      .limit(3),
  manyToMany: (c) => c.from('tickets').select('id,tags(name)').order('id').limit(3),
  inner: (c) =>
    c.from('customers').select('id,tickets!inner(id)').eq('tickets.status', 'resolved').order('id').limit(5),
  nulls: (c) => c.from('customers').select('id,company').order('company', { nullsFirst: true }).order('id').limit(12),
  insert: (c) => c.from('tags').insert({ id: 10, name: 'new', color: 'red' }).select(),
  insertQuietly: (c) => c.from('tags').insert({ id: 11, name: 'quiet' }),
  bulk: (c) =>
    c
      .from('tags')
      .insert(
        [12, 13, 14].map((id) => ({ id, name: `bulk-${id}` })),
        { count: 'exact' },
      )
      .select('id')
      .order('id'),
  duplicate: (c) => c.from('tags').insert({ id: 15, name: 'new' }),
  duplicateKey: (c) => c.from('tags').insert({ id: 10, name: 'other' }),
  upsert: (c) =>
    c
      .from('tags')
      .upsert([
        { id: 10, name: 'renewed' },
        { id: 16, name: 'made' },
      ])
      .select('id,name,color')
      .order('id'),
  upsertByName: (c) =>
    c.from('tags').upsert({ name: 'renewed', color: 'blue' }, { onConflict: 'name' }).select('name,color'),
  upsertIgnoring: (c) =>
    c
      .from('tags')
      .upsert([{ id: 10, name: 'x' }], { ignoreDuplicates: true })
      .select(),
  update: (c) => c.from('tags').update({ color: 'green' }).gte('id', 12).select('id,color').order('id'),
  updateNone: (c) => c.from('tags').update({ color: 'green' }).eq('id', 999).select(),
  wrongEnum: (c) => c.from('tickets').insert({ customer_id: 1, subject: 's', status: 'lost' }),
  wrongType: (c) => c.from('tickets').select('id').eq('id', 'seven'),
  missingColumn: (c) => c.from('tickets').insert({ customer_id: 1 }),
  noSuchColumn: (c) => c.from('tickets').select('id,nothing'),
  noSuchTable: (c) => c.from('nothing').select(),
  noSuchCustomer: (c) => c.from('tickets').insert({ id: 900, customer_id: 999, subject: 's' }),
  stillReferenced: (c) => c.from('agents').delete().eq('id', 1),
  remove: (c) => c.from('tags').delete().gte('id', 12).select('id').order('id'),
  removeCounted: (c) => c.from('tags').delete({ count: 'exact' }).in('id', [10, 11]),
  cascade: (c) => c.from('customers').delete().eq('id', 30).select('id,tickets(id)'),
  after: (c) => c.from('tickets').select('id', { count: 'exact', head: true }),
}

/** Status or error code, and how many rows. */
const EXPECTED = {
  after: '200 nothing of 58',
  all: '200 30 rows',
  bulk: '201 3 rows of 3',
  cascade: '200 1 rows',
  contains: '200 6 rows',
  csv: '200 string',
  duplicate: '409 23505',
  duplicateKey: '409 23505',
  filters: '200 5 rows',
  headCount: '200 nothing of 15',
  inList: '200 10 rows',
  inner: '200 5 rows',
  insert: '201 1 rows',
  insertQuietly: '201 nothing',
  jsonPath: '200 3 rows',
  manyToMany: '200 3 rows',
  maybeNone: '200 nothing',
  missingColumn: '400 23502',
  noSuchColumn: '400 42703',
  noSuchCustomer: '409 23503',
  noSuchTable: '404 PGRST205',
  nulls: '200 12 rows',
  or: '200 22 rows',
  pastTheEnd: '416 PGRST103',
  planned: '206 2 rows of 60',
  quoted: '200 6 rows',
  range: '206 5 rows of 60',
  remove: '200 4 rows',
  removeCounted: '204 nothing of 2',
  single: '200 object',
  singleOfMany: '406 PGRST116',
  stillReferenced: '409 23503',
  toMany: '200 3 rows',
  toOne: '200 4 rows',
  update: '200 4 rows',
  updateNone: '200 0 rows',
  upsert: '201 2 rows',
  upsertByName: '201 1 rows',
  upsertIgnoring: '201 0 rows',
  wrongEnum: '400 22P02',
  wrongType: '400 22P02',
}

describe('the official clients, unmodified, get the same answers on every tier', () => {
  test.each(['supabase-js', 'postgrest-js'])('%s', async (library) => {
    const sessions: Record<string, Record<string, unknown>> = {}
    for (const slug of SLUGS) {
      await empty(slug)
      await seed(supabase(world, gateway, slug), slug)
      const client = library === 'supabase-js' ? supabase(world, gateway, slug) : plainClient(slug)
      const answers: Record<string, unknown> = {}
      for (const [name, step] of Object.entries(SESSION)) answers[name] = await step(client)
      sessions[slug] = answers
    }
    const [first, ...rest] = SLUGS.map((slug) => sessions[slug]!)
    for (const other of rest) expect(other).toEqual(first)
    const text = JSON.stringify(first)
    expect(text).not.toMatch(SECRETS)
    expect(text).not.toContain('umbrella')
    expect(shapeOf(first!)).toEqual(EXPECTED)
  })
})

test('every answer is the same on every tier down to its headers', async () => {
  const requests: [string, string, Record<string, string>?, unknown?][] = [
    ['GET', '/rest/v1/tickets?select=id,subject&order=id&limit=5', { prefer: 'count=exact' }],
    ['GET', '/rest/v1/tickets?select=id&order=id', { range: '5-9', 'range-unit': 'items' }],
    ['GET', '/rest/v1/customers?select=*&id=eq.1', { accept: 'application/vnd.pgrst.object+json' }],
    ['GET', '/rest/v1/customers?id=in.(1,2)', { accept: 'text/csv' }],
    ['HEAD', '/rest/v1/customers', { prefer: 'count=exact' }],
    ['GET', '/rest/v1/tickets?tenancy=eq.x'],
    ['GET', '/rest/v1/'],
    ['GET', '/rest/v1/', { accept: 'text/html' }],
    ['POST', '/rest/v1/tags', { prefer: 'return=headers-only' }, { id: 50, name: 'fifty' }],
    [
      'POST',
      '/rest/v1/tags',
      { prefer: 'return=representation,missing=default' },
      [
        { id: 51, name: 'x' },
        { id: 52, name: 'y' },
      ],
    ],
    ['POST', '/rest/v1/tags', {}, { id: 50, name: 'again' }],
    ['PUT', '/rest/v1/tags?id=eq.53', { prefer: 'return=representation' }, { id: 53, name: 'put' }],
    ['PATCH', '/rest/v1/tags?id=gte.51', { prefer: 'return=minimal,count=exact' }, { color: 'red' }],
    ['PATCH', '/rest/v1/tags?id=eq.51', {}, { name: 'fifty' }],
    ['PATCH', '/rest/v1/tags?id=gte.50', { prefer: 'handling=strict,max-affected=1' }, { color: 'x' }],
    ['DELETE', '/rest/v1/tags?id=gte.50', { prefer: 'return=representation' }],
    ['POST', '/rest/v1/tickets', {}, { id: 900, customer_id: 4711, subject: 'no such customer' }],
    ['POST', '/rest/v1/tickets', {}, { customer_id: 1, subject: null }],
    ['POST', '/rest/v1/rpc/anything', {}, {}],
    ['GET', '/rest/v1/customers?select=id,nothing(id)'],
    ['GET', '/v1/summary'],
    ['GET', '/v1/nothing'],
    ['POST', '/v1/tickets/0/resolve'],
    ['POST', '/v1/tickets/4711/resolve'],
    ['OPTIONS', '/rest/v1/tickets'],
    ['GET', '/rest/v1/tickets/5'],
  ]
  const answers = await Promise.all(
    SLUGS.map(async (slug) => {
      const seen: unknown[] = []
      for (const [method, path, headers = {}, body] of requests) {
        const answer = await gateway.ask(path, {
          as: slug,
          method,
          headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        })
        expect([path, answer.status]).toEqual([path, expect.toSatisfy((s) => s < 500)])
        expect(answer.text).not.toMatch(SECRETS)
        expect(JSON.stringify(answer.headers)).not.toMatch(SECRETS)
        seen.push({ method, path, ...comparable(answer, slug) })
      }
      return seen
    }),
  )
  for (const other of answers.slice(1)) expect(other).toEqual(answers[0])
})

/** What differs between any two requests, and what names the tenant itself. */
function comparable({ status, headers, text }: { status: number; headers: object; text: string }, slug: string) {
  const same = Object.entries(headers).filter(
    ([name]) => !/^(date|x-request-id|ratelimit.*|content-length)$/.test(name),
  )
  return {
    status,
    headers: Object.fromEntries(same),
    text: text.replaceAll(slug, '{slug}').replace(/urn:request:[0-9a-f-]+/, 'urn:request'),
  }
}

function plainClient(slug: string) {
  return new PostgrestClient(`${gateway.url}/rest/v1`, { headers: { apikey: world.system.keyOf(slug) } }) as never
}

async function empty(slug: string): Promise<void> {
  const client = supabase(world, gateway, slug)
  for (const table of ['customers', 'agents', 'tags']) await client.from(table).delete().gte('id', 0)
}

/** Status, count and how many rows, for each step: so that all tiers being wrong alike shows too. */
function shapeOf(answers: Record<string, unknown>) {
  return Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => {
      const { status, count, data, error } = answer as {
        status: number
        count: number | null
        data: unknown
        error: { code: string } | null
      }
      const rows = Array.isArray(data) ? `${data.length} rows` : data === null ? 'nothing' : typeof data
      return [
        name,
        `${status} ${error ? error.code : rows}${count === null || count === undefined ? '' : ` of ${count}`}`,
      ]
    }),
  )
}
