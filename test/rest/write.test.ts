import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ACME, type Desk, openDesk, RIVAL, SEED } from './desk.ts'

let desk: Desk
beforeAll(async () => {
  desk = await openDesk()
})
beforeEach(() => desk.seed(SEED))
afterAll(() => desk?.close())

interface Answer {
  status: number
  body: unknown
  headers: Headers
}

async function send(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const init: RequestInit = { method, headers: { 'content-type': 'application/json', ...headers } }
  if (body !== undefined) init.body = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await desk.fetch(path, init)
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json')
  return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers }
}

const REPRESENTATION = { prefer: 'return=representation' }
const OBJECT = { ...REPRESENTATION, accept: 'application/vnd.pgrst.object+json' }

describe('insert', () => {
  it('answers 201 without a body, and fills tenant_id by itself', async () => {
    const { status, body, headers } = await send('POST', '/tags', { name: 'new' })
    expect([status, body, headers.get('content-range'), headers.get('content-type')]).toEqual([201, '', '*/*', null])
    expect(await desk.sql(`select tenant_id from tags where name = 'new'`)).toEqual([{ tenant_id: ACME }])
  })

  it('shows what was made, with defaults, computed columns and embedded resources', async () => {
    const path = '/tickets?select=id,status,shout,customers(name)'
    const { status, body, headers } = await send('POST', path, { title: 'Hi', customer_id: 2, id: 50 }, REPRESENTATION)
    expect([status, body, headers.get('preference-applied')]).toEqual([
      201,
      [{ id: 50, status: 'open', shout: 'HI', customers: { name: 'Bob, "the" builder' } }],
      'return=representation',
    ])
  })

  it('says where the row is, when asked for headers only', async () => {
    const { status, body, headers } = await send(
      'POST',
      '/tags',
      { id: 40, name: 'x' },
      { prefer: 'return=headers-only' },
    )
    expect([status, body, headers.get('location')]).toEqual([201, '', '/rest/v1/tags?id=eq.40'])
  })

  it('takes many rows in one statement, whose text does not depend on how many', async () => {
    desk.statements.length = 0
    const rows = Array.from({ length: 30 }, (_, index) => ({ id: 100 + index, name: `tag ${index}` }))
    const { body, headers } = await send('POST', '/tags?select=id', rows, {
      prefer: 'return=representation,count=exact',
    })
    await send('POST', '/tags?select=id', [{ id: 99, name: 'one' }], { prefer: 'return=representation,count=exact' })
    expect([body, headers.get('content-range')]).toEqual([rows.map(({ id }) => ({ id })), '*/30'])
    expect(desk.statements).toHaveLength(2)
    expect(desk.statements[0]!.text).toBe(desk.statements[1]!.text)
  })

  it('keeps every digit of a number, whatever way the rows take', async () => {
    const amount = '12345678901234567890.1234'
    const row = `{"title": "n", "customer_id": 1, "amount": ${amount}}`
    await send('POST', '/tickets', row)
    const mixed = `[${row}, {"title": "n", "customer_id": 1, "amount": ${amount}, "priority": 2}]`
    await send('POST', '/tickets?columns=title,customer_id,amount,priority', mixed, { prefer: 'missing=default' })
    const rows = await desk.sql(`select amount::text, priority from tickets where title = 'n' order by id`)
    expect(rows).toEqual([
      { amount, priority: 3 },
      { amount, priority: 3 },
      { amount, priority: 2 },
    ])
  })

  it('writes arrays, JSON and nulls', async () => {
    const row = {
      title: 't',
      customer_id: 1,
      labels: ['a,b', '"q"'],
      custom: { deep: [null, { x: 1 }] },
      agent_id: null,
    }
    const { body } = await send('POST', '/tickets?select=labels,custom,agent_id', row, REPRESENTATION)
    expect(body).toEqual([{ labels: row.labels, custom: row.custom, agent_id: null }])
  })

  it('a missing key is null, or the default with missing=default', async () => {
    const rows = [
      { title: 'a', customer_id: 1, priority: 1 },
      { title: 'b', customer_id: 1 },
    ]
    const path = '/tickets?columns=title,customer_id,priority&select=title,priority&order=title'
    expect((await send('POST', path, rows, REPRESENTATION)).body).toMatchObject({ code: '23502' })
    const { body, headers } = await send('POST', path, rows, { prefer: 'return=representation,missing=default' })
    expect(body).toEqual([
      { title: 'a', priority: 1 },
      { title: 'b', priority: 3 },
    ])
    expect(headers.get('preference-applied')).toBe('missing=default, return=representation')
  })

  it('rows of defaults alone', async () => {
    await desk.sql(`alter table tags alter name set default 'nameless'`)
    const { status, body } = await send('POST', '/tags?select=name', [{}, {}], REPRESENTATION)
    expect([status, body]).toEqual([201, [{ name: 'nameless' }, { name: 'nameless' }]])
    expect((await send('POST', '/tags', [], REPRESENTATION)).body).toEqual([])
    expect((await send('POST', '/tags', [], { ...REPRESENTATION, accept: 'text/csv' })).body).toBe('')
    expect((await send('POST', '/tags', [{}], { prefer: 'resolution=merge-duplicates' })).status).toBe(201)
  })

  it('an empty columns= picks nothing out', async () => {
    expect((await send('POST', '/tags?columns=', { id: 61, name: 'y' }, REPRESENTATION)).body).toEqual([
      { id: 61, name: 'y' },
    ])
  })

  it('columns= picks keys and ignores the rest of the payload', async () => {
    const { body } = await send('POST', '/tags?columns=id,name', { id: 60, name: 'x', rubbish: 1 }, REPRESENTATION)
    expect(body).toEqual([{ id: 60, name: 'x' }])
  })

  it('the first of two preferences holds, and an inner embed leaves out what is shown', async () => {
    const prefer = { prefer: 'return=minimal, return=representation' }
    expect((await send('POST', '/tags', { name: 'x' }, prefer)).body).toBe('')
    const path = '/tickets?select=id,tags!inner(id)'
    const { status, body } = await send('POST', path, { title: 'x', customer_id: 1 }, REPRESENTATION)
    expect([status, body]).toEqual([201, []])
  })

  it('CSV and forms', async () => {
    const end = { 'content-type': 'text/csv', ...REPRESENTATION }
    expect((await send('POST', '/tags', 'id,name\n90,', end)).body).toEqual([{ id: 90, name: '' }])
    expect((await send('POST', '/tags', 'id,name\n91', end)).body).toMatchObject({ code: 'PGRST102' })
    expect((await send('POST', '/tags', 'id,name\n91,"x', end)).body).toMatchObject({ code: 'PGRST102' })
    const csv = 'id,name,email,phone\r\n20,"Eve, ""E""",eve@example.com,NULL\r\n21,Finn,finn@example.com,\r\n'
    expect((await send('POST', '/customers', csv, { 'content-type': 'text/csv' })).status).toBe(201)
    const rows = await desk.sql(`select name, phone from customers where id >= 20 order by id`)
    expect(rows).toEqual([
      { name: 'Eve, "E"', phone: null },
      { name: 'Finn', phone: '' },
    ])
    const form = { 'content-type': 'application/x-www-form-urlencoded', ...REPRESENTATION }
    expect((await send('POST', '/tags', 'id=70&name=a+b', form)).body).toEqual([{ id: 70, name: 'a b' }])
  })

  it('rows take defaults by their keys however deep their values are', async () => {
    const deep = `${'['.repeat(300)}"]\\"",{"title":1}${']'.repeat(300)}`
    const body = (value: string) => `[{"title":"a","customer_id":1,"custom":${value}}, {"customer_id":1, "title":"b"}]`
    const path = '/tickets?columns=title,customer_id,custom&select=title,custom'
    const prefer = { prefer: 'missing=default,return=representation' }
    const { body: rows } = await send('POST', path, body(deep), prefer)
    expect(rows).toEqual([
      { title: 'a', custom: JSON.parse(deep) },
      { title: 'b', custom: null },
    ])
    const deeper = '['.repeat(20_000) + ']'.repeat(20_000)
    expect(await send('POST', path, body(deeper), prefer)).toMatchObject({ status: 400, body: { code: '54001' } })
  })

  it.each<[string, string, string]>([
    ['the fields of a form', 'application/x-www-form-urlencoded', 'name=x&'.repeat(2_000)],
    ['the fields of a line of CSV', 'text/csv', `name${','.repeat(2_000)}`],
    ['what a CSV becomes', 'text/csv', `${'n'.repeat(4_000)}\n${'x\n'.repeat(20_000)}`],
  ])('the number of %s is bounded', async (_what, type, text) => {
    const answer = await send('POST', '/tags', text, { 'content-type': type })
    expect(answer).toMatchObject({ status: 400, body: { code: 'PGRST102' } })
  })

  it('the number of rows of defaults alone is bounded, since each of them lengthens the statement', async () => {
    const rows = Array.from({ length: 10_000 }, () => ({}))
    expect(await send('POST', '/tags', rows)).toMatchObject({ status: 400, body: { code: 'PGRST100' } })
  })

  it.each<[string, unknown, string]>([
    ['not JSON', '{"name": ', 'PGRST102'],
    ['nothing', '', 'PGRST102'],
    ['a number', '7', 'PGRST102'],
    ['a list of numbers', [1], 'PGRST102'],
    ['different keys without columns=', [{ name: 'a' }, { id: 5 }], 'PGRST102'],
    ['an unknown column', { nmae: 'a' }, 'PGRST204'],
    ['tenant_id', { name: 'a', tenant_id: RIVAL }, 'PGRST204'],
  ])('%s is refused', async (_what, body, code) => {
    const answer = await send('POST', '/tags', body)
    expect([answer.status, answer.body]).toEqual([400, expect.objectContaining({ code })])
  })
})

describe('upsert', () => {
  const MERGE = { prefer: 'resolution=merge-duplicates,return=representation' }

  it('merges on the primary key unless told otherwise', async () => {
    const rows = [
      { id: 1, name: 'URGENT' },
      { id: 30, name: 'fresh' },
    ]
    const { status, body, headers } = await send('POST', '/tags', rows, MERGE)
    expect([status, body]).toEqual([201, rows])
    expect(headers.get('preference-applied')).toBe('resolution=merge-duplicates, return=representation')
  })

  it('merges on a unique key named without tenant_id', async () => {
    const row = { name: 'Ada L.', email: 'ada@example.com' }
    expect((await send('POST', '/customers?on_conflict=email&select=id,name', row, MERGE)).body).toEqual([
      { id: 1, name: 'Ada L.' },
    ])
    // The rival's address is free here: the key is the tenant's own.
    const other = { name: 'Not theirs', email: 'rival@example.com' }
    expect((await send('POST', '/customers?on_conflict=email&select=name', other, MERGE)).body).toEqual([
      { name: 'Not theirs' },
    ])
    expect(await desk.sql(`select name from customers where email = 'rival@example.com'`, [], RIVAL)).toEqual([
      { name: 'Rival' },
    ])
  })

  it('ignores duplicates', async () => {
    const rows = [
      { id: 1, name: 'no' },
      { id: 31, name: 'yes' },
    ]
    const { body } = await send('POST', '/tags', rows, { prefer: 'resolution=ignore-duplicates,return=representation' })
    expect(body).toEqual([{ id: 31, name: 'yes' }])
  })

  it('on_conflict must be a unique key', async () => {
    const answer = await send('POST', '/customers?on_conflict=name', { name: 'x', email: 'y' }, MERGE)
    expect([answer.status, answer.body]).toMatchObject([400, { code: '42P10' }])
  })

  it('PUT makes or replaces the one row that its filters name', async () => {
    expect((await send('PUT', '/tags?id=eq.1', { id: 1, name: 'put' }, REPRESENTATION)).body).toEqual([
      { id: 1, name: 'put' },
    ])
    expect((await send('PUT', '/tags?id=eq.80', { id: 80, name: 'new' })).status).toBe(204)
    expect((await send('PUT', '/tags?id=eq.80', { id: 81, name: 'x' })).body).toMatchObject({ code: 'PGRST115' })
    expect((await send('PUT', '/tags', { id: 81, name: 'x' })).body).toMatchObject({ code: 'PGRST105' })
    expect((await send('PUT', '/tags?name=eq.80', { id: 81, name: 'x' })).body).toMatchObject({ code: 'PGRST105' })
    expect((await send('PUT', '/tags?id=gt.80', { id: 81, name: 'x' })).body).toMatchObject({ code: 'PGRST105' })
  })
})

describe('a PUT writes no other row than its filters name', () => {
  it('when the two differ beyond the digits of a JavaScript number', async () => {
    const body = '{"id":9007199254740993,"name":"large"}'
    expect((await send('PUT', '/tags?id=eq.9007199254740992', body)).body).toMatchObject({ code: 'PGRST115' })
    expect((await send('PUT', '/tags?id=eq.9007199254740992', body, OBJECT)).body).toMatchObject({ code: 'PGRST115' })
    expect(await desk.sql(`select from tags where name = 'large'`)).toEqual([])
    expect((await send('PUT', '/tags?id=eq.9007199254740993', body)).status).toBe(204)
    expect(await desk.sql(`select id from tags where name = 'large'`)).toEqual([{ id: '9007199254740993' }])
  })

  it('when columns= leaves the key out', async () => {
    const { body } = await send('PUT', '/tags?id=eq.1&columns=name', { id: 1, name: 'other' })
    expect(body).toMatchObject({ code: 'PGRST115' })
    expect(await desk.sql(`select from tags where name = 'other'`)).toEqual([])
  })
})

describe('update and delete', () => {
  it('PATCH changes what the filters match', async () => {
    const { status, headers } = await send(
      'PATCH',
      '/tickets?status=eq.open',
      { priority: 2 },
      { prefer: 'count=exact' },
    )
    expect([status, headers.get('content-range')]).toEqual([204, '0-1/2'])
    expect(await desk.sql('select id from tickets where priority = 2 order by id')).toEqual([{ id: '1' }, { id: '4' }])
    const shown = await send(
      'PATCH',
      '/tickets?id=eq.2&select=id,title,customers(name)',
      { title: 'Found' },
      REPRESENTATION,
    )
    expect([shown.status, shown.body]).toEqual([200, [{ id: 2, title: 'Found', customers: { name: 'Ada' } }]])
    const none = await send('PATCH', '/tickets?id=eq.99', { title: 'x' }, REPRESENTATION)
    expect([none.status, none.body, none.headers.get('content-range')]).toEqual([200, [], '*/*'])
  })

  it('DELETE shows what it deleted', async () => {
    const { status, body } = await send(
      'DELETE',
      '/comments?ticket_id=eq.1&select=id&order=id',
      undefined,
      REPRESENTATION,
    )
    expect([status, body]).toEqual([200, [{ id: 1 }, { id: 2 }]])
    expect((await send('DELETE', '/comments?id=eq.3')).status).toBe(204)
    expect(await desk.sql('select from comments')).toEqual([])
  })

  it('an inner embed narrows what is written, too', async () => {
    await send('PATCH', '/tickets?select=id,tags!inner(id)&tags.name=eq.urgent', { title: 'tagged' })
    expect(await desk.sql(`select id from tickets where title = 'tagged'`)).toEqual([{ id: '1' }])
  })

  it('a limit that would not limit the write is refused', async () => {
    const answer = await send('DELETE', '/comments?limit=1')
    expect([answer.status, answer.body]).toMatchObject([400, { code: 'PGRST100' }])
    expect(await desk.sql('select count(*) from comments')).toEqual([{ count: '3' }])
  })

  it("another tenant's rows stay as they are", async () => {
    await send('PATCH', '/tickets?id=gt.0', { title: 'mine' })
    await send('DELETE', '/comments?id=gt.0')
    const rows = await desk.sql('select title from tickets order by id', [], RIVAL)
    expect(rows).toEqual([{ title: 'Theirs' }, { title: 'Theirs too' }])
  })

  it('a view is read-only', async () => {
    const answer = await send('PATCH', '/open_tickets?id=eq.1', { title: 'x' })
    expect([answer.status, answer.body]).toMatchObject([403, { code: '42501' }])
  })
})

describe('a write that does not keep its promise is rolled back', () => {
  it('when one object was asked for and there are more, or none', async () => {
    const many = await send('PATCH', '/tickets?status=eq.open', { title: 'gone' }, OBJECT)
    expect([many.status, many.body]).toMatchObject([406, { code: 'PGRST116', details: 'The result contains 2 rows' }])
    const none = await send('DELETE', '/tickets?id=eq.99', undefined, OBJECT)
    expect([none.status, none.body]).toMatchObject([406, { code: 'PGRST116', details: 'The result contains 0 rows' }])
    expect((await send('POST', '/tags', [{ name: 'a' }, { name: 'b' }], OBJECT)).status).toBe(406)
    expect(await desk.sql(`select from tickets where title = 'gone'`)).toEqual([])
    expect(await desk.sql('select count(*) from tags')).toEqual([{ count: '2' }])
  })

  it('when a limit shows one row of several that were changed', async () => {
    const path = '/tickets?status=eq.open&select=id&limit=1'
    const answer = await send('PATCH', path, { title: 'gone' }, OBJECT)
    expect([answer.status, answer.body]).toMatchObject([
      406,
      { code: 'PGRST116', details: 'The result contains 2 rows' },
    ])
    expect(await desk.sql(`select from tickets where title = 'gone'`)).toEqual([])
  })

  it('when exactly one was asked for it stands', async () => {
    const { status, body } = await send('PATCH', '/tickets?id=eq.1&select=id,title', { title: 'kept' }, OBJECT)
    expect([status, body]).toEqual([200, { id: 1, title: 'kept' }])
  })

  it('when more rows are affected than max-affected says', async () => {
    const prefer = { prefer: 'handling=strict,max-affected=1' }
    expect((await send('DELETE', '/comments?id=gt.0', undefined, prefer)).body).toMatchObject({ code: 'PGRST124' })
    expect(await desk.sql('select count(*) from comments')).toEqual([{ count: '3' }])
    expect((await send('DELETE', '/comments?id=eq.1', undefined, prefer)).status).toBe(204)
  })
})
