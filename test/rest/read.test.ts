import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Desk, openDesk, SEED } from './desk.ts'

let desk: Desk
beforeAll(async () => {
  desk = await openDesk()
  await desk.seed(SEED)
})
afterAll(() => desk?.close())

/** The body of a GET that is expected to succeed. */
async function get(path: string): Promise<unknown> {
  const response = await desk.fetch(path)
  const body = await response.text()
  expect(response.ok, body).toBe(true)
  return JSON.parse(body)
}

const idsOf = async (path: string) => ((await get(path)) as { id: number }[]).map((row) => row.id)

describe('columns', () => {
  it('a table without select shows every column but tenant_id', async () => {
    const [row] = (await get('/tickets?id=eq.2')) as [object]
    expect(Object.keys(row)).toEqual([
      'id',
      'title',
      'status',
      'priority',
      'custom',
      'labels',
      'amount',
      'created_at',
      'shout',
      'customer_id',
      'agent_id',
      'reviewer_id',
    ])
  })

  it('select renames, casts and reaches into JSON', async () => {
    expect(
      await get(
        '/tickets?id=eq.1&select=name:title,priority::text,custom->>room,cm:custom->size->cm,custom->list->1,labels->0',
      ),
    ).toEqual([{ name: 'Printer on fire', priority: '1', room: 'b7', cm: 30, list: 2, labels: 'hot' }])
  })

  it('numbers reach the client with every digit', async () => {
    const response = await desk.fetch('/tickets?id=eq.1&select=amount')
    expect(await response.text()).toBe('[{"amount":12345678901234567890.5000}]')
  })

  it('names that hold reserved characters are reached in quotes', async () => {
    const path = `/${encodeURIComponent('Odd "names"')}?select=n:"Some, id",s&"Some, id"=gt.0&order="order"`
    expect(await get(path)).toEqual([
      { n: 2, s: 'y' },
      { n: 1, s: 'x' },
    ])
    const table = encodeURIComponent('Odd "names"')
    expect(await get(`/${table}?select=s&"order"->>a=is.null&"order"=gt.5`)).toEqual([{ s: 'x' }])
  })

  it('a name of the answer that the database would cut off is refused, in two bytes for a letter too', async () => {
    expect(await get(`/tickets?select=${'é'.repeat(31)}x:id&limit=1`)).toEqual([{ [`${'é'.repeat(31)}x`]: 1 }])
    const long = 'é'.repeat(32)
    for (const select of [`${long}:id`, `custom->${long}`, `${long}:customers(id)`, `...customers(${long}:id)`]) {
      const response = await desk.fetch(`/tickets?select=${select}`)
      expect([response.status, await response.json()]).toMatchObject([400, { code: 'PGRST100' }])
    }
  })

  it('a type outside the list of casts is refused', async () => {
    const response = await desk.fetch('/tickets?select=id::regclass')
    expect([response.status, await response.json()]).toEqual([400, expect.objectContaining({ code: '42704' })])
  })
})

describe('filters', () => {
  it.each<[string, number[]]>([
    ['id=eq.2', [2]],
    ['id=neq.2', [1, 3, 4]],
    ['priority=gt.1&priority=lte.3', [2, 4]],
    ['priority=not.gte.3', [1]],
    ['status=eq.open', [1, 4]],
    ['status=in.(open,waiting)', [1, 3, 4]],
    ['status=not.in.(open)', [2, 3]],
    ['id=in.()', []],
    ['title=like.P*', [1, 2]],
    ['title=ilike.*WI-FI', [3]],
    ['title=match.^P.*e$', [1]],
    ['title=imatch.^p.*E$', [1]],
    ['title=like(any).{P*,A*}', [1, 2, 4]],
    ['title=like(all).{P*,*fire}', [1]],
    ['id=eq(any).{1,4}', [1, 4]],
    ['amount=is.null', [2]],
    ['amount=not.is.null', [1, 3, 4]],
    ['amount=is.not_null', [1, 3, 4]],
    ['agent_id=isdistinct.2', [3, 4]],
    ['labels=cs.{hardware}', [1, 4]],
    ['labels=cd.{hot,hardware,access}', [1, 2, 3, 4]],
    ['labels=ov.{hot,access}', [1, 2]],
    ['labels=eq.{access}', [2]],
    ['labels=in.("{access}","{hardware}")', [2, 4]],
    ['custom=cs.{"room":"b7"}', [1]],
    ['custom->>room=eq.b7', [1]],
    ['custom->size->cm=gt.10', [1]],
    ['custom->>room=in.(b7,a1)', [1, 2]],
    ['custom->room=is.null', [3]],
    ['title=fts.printer', [1]],
    ['title=plfts(english).fires', [1]],
    ['created_at=gte.2024-01-03', [3, 4]],
    ['or=(id.eq.1,id.eq.3)', [1, 3]],
    ['and=(id.gt.1,or(status.eq.open,priority.eq.5))', [3, 4]],
    ['not.or=(id.eq.1,id.eq.3)', [2, 4]],
    ['not.and=(id.gt.1,id.lt.4)', [1, 4]],
    ['or=(id.in.(1,2),not.and(id.gt.1,id.lt.4))', [1, 2, 4]],
    ['or=(title.eq."Slow Wi-Fi",title.not.like.*o*)', [3, 4]],
    ['or=(labels.cs.{"hot",hardware},custom->>room.eq.a1)', [1, 2]],
  ])('%s', async (filter, ids) => {
    expect(await idsOf(`/tickets?select=id&order=id&${filter}`)).toEqual(ids)
  })

  it.each<[string, number[]]>([
    [`name=eq.Bob, "the" builder`, [2]],
    [`name=in.("Bob, \\"the\\" builder",Ada)`, [1, 2]],
    [`or=(name.eq."Bob, \\"the\\" builder",name.eq.Çelik)`, [2, 3]],
    [`or=(name.eq."Ada"x,name.in.("Ada"x,Ada))`, [1]],
    ['vip=is.true', [1]],
    ['vip=not.is.true', [2, 3]],
    ['vip=is.unknown', [3]],
    ['vip=eq.false', [2]],
  ])('customers: %s', async (filter, ids) => {
    const query = new URLSearchParams({ select: 'id', order: 'id' })
    const at = filter.indexOf('=')
    query.append(filter.slice(0, at), filter.slice(at + 1))
    expect(await idsOf(`/customers?${query}`)).toEqual(ids)
  })

  it('values are only ever parameters', async () => {
    desk.statements.length = 0
    await get(`/tickets?title=eq.O'Neil"; drop table tickets;--&custom->>"a'b"=eq.1&id=in.(1,2)&limit=7&offset=3`)
    const [{ text, params }] = desk.statements as [{ text: string; params: unknown[] }]
    for (const found of ["O'Neil", "a'b", '7', '3']) expect(text.replaceAll(/\$\d+/g, '$')).not.toContain(found)
    expect(params).toContain(`O'Neil"; drop table tickets;--`)
  })

  it('lists of different lengths make the same statement', async () => {
    desk.statements.length = 0
    await get('/tickets?id=in.(1)')
    await get('/tickets?id=in.(1,2,3,4,5)')
    expect(desk.statements[0]!.text).toBe(desk.statements[1]!.text)
  })
})

describe('order', () => {
  it.each<[string, number[]]>([
    ['order=priority.desc,id', [3, 2, 4, 1]],
    ['order=amount', [3, 4, 1, 2]],
    ['order=amount.nullsfirst', [2, 3, 4, 1]],
    ['order=amount.desc.nullslast', [1, 4, 3, 2]],
    ['order=custom->>room.desc.nullslast,id', [1, 2, 3, 4]],
  ])('%s', async (order, ids) => {
    expect(await idsOf(`/tickets?select=id&${order}`)).toEqual(ids)
  })

  it('by a column of a to-one embed', async () => {
    expect(await idsOf('/tickets?select=id,customers(name)&order=customers(name).desc,id')).toEqual([3, 4, 1, 2])
  })
})

describe('pages and counts', () => {
  const page = async (path: string, headers: Record<string, string> = {}) => {
    const response = await desk.fetch(path, { headers })
    return [response.status, response.headers.get('content-range'), await response.json()]
  }

  it('without a count the total stays open', async () => {
    expect(await page('/tickets?select=id&order=id&limit=2&offset=1')).toEqual([200, '1-2/*', [{ id: 2 }, { id: 3 }]])
  })

  it('a part is 206, the whole is 200', async () => {
    const prefer = { prefer: 'count=exact' }
    expect(await page('/tickets?select=id&order=id&limit=2', prefer)).toEqual([206, '0-1/4', [{ id: 1 }, { id: 2 }]])
    expect((await page('/tickets?select=id&id=lt.3', prefer)).slice(0, 2)).toEqual([200, '0-1/2'])
    expect(await page('/tickets?select=id&id=eq.99', prefer)).toEqual([200, '*/0', []])
    expect(await page('/tickets?select=id&offset=4', prefer)).toEqual([206, '*/4', []])
  })

  it('the Range header does what limit and offset do', async () => {
    const headers = { range: '1-2', 'range-unit': 'items', prefer: 'count=exact' }
    expect(await page('/tickets?select=id&order=id', headers)).toEqual([206, '1-2/4', [{ id: 2 }, { id: 3 }]])
  })

  it('a page past the end is 416', async () => {
    const [status, , body] = await page('/tickets?offset=5', { prefer: 'count=exact' })
    expect([status, body]).toEqual([416, expect.objectContaining({ code: 'PGRST103' })])
    expect((await page('/tickets', { range: '5-2' }))[0]).toBe(416)
    expect((await page('/tickets?limit=-1'))[0]).toBe(416)
  })

  it('no list is longer than the tier allows, embedded ones neither', async () => {
    desk.maxRows = 2
    try {
      expect(await idsOf('/tickets?select=id&order=id&limit=3')).toEqual([1, 2])
      expect(await get('/tags?select=tickets(id)&id=eq.2')).toEqual([{ tickets: [{ id: 1 }, { id: 4 }] }])
      desk.maxRows = 1
      expect(await get('/tags?select=tickets(id)&id=eq.2&tickets.order=id')).toEqual([{ tickets: [{ id: 1 }] }])
    } finally {
      desk.maxRows = 1000
    }
  })

  it('a planned or estimated count is exact, since the planner would tell about other tenants', async () => {
    for (const count of ['planned', 'estimated']) {
      expect((await page('/tickets?select=id&limit=1', { prefer: `count=${count}` }))[1]).toBe('0-0/4')
    }
  })

  it('a planned count stops at its cap, an exact one does not', async () => {
    await desk.sql(`insert into tags (id, name) select n, 'bulk' from generate_series(1000, 11999) n`)
    try {
      expect((await page('/tags?name=eq.bulk&limit=1', { prefer: 'count=planned' }))[1]).toBe('0-0/10000')
      expect((await page('/tags?name=eq.bulk&limit=1', { prefer: 'count=exact' }))[1]).toBe('0-0/11000')
      const late = await page('/tags?name=eq.bulk&limit=1&offset=10500', { prefer: 'count=planned' })
      expect(late.slice(0, 2)).toEqual([206, '10500-10500/10501'])
    } finally {
      await desk.sql(`delete from tags where name = 'bulk'`)
    }
  })

  it('HEAD counts without a body', async () => {
    const response = await desk.fetch('/tickets?status=eq.open', { method: 'HEAD', headers: { prefer: 'count=exact' } })
    expect([response.status, response.headers.get('content-range'), await response.text()]).toEqual([200, '0-1/2', ''])
  })

  it('count() counts, by what stands beside it', async () => {
    expect(await get('/tickets?select=count()')).toEqual([{ count: 4 }])
    expect(await get('/tickets?select=status,count()&order=status')).toEqual([
      { status: 'open', count: 2 },
      { status: 'waiting', count: 1 },
      { status: 'closed', count: 1 },
    ])
    expect(await get('/tickets?select=id,comments(count)&order=id&limit=2')).toEqual([
      { id: 1, comments: [{ count: 2 }] },
      { id: 2, comments: [{ count: 0 }] },
    ])
  })

  it('the total beside count() is that of the rows of the answer, whatever the page and the method', async () => {
    const range = async (query: string, method: string) => {
      const { headers } = await desk.fetch(`/tickets?${query}`, { method, headers: { prefer: 'count=exact' } })
      return headers.get('content-range')
    }
    for (const method of ['GET', 'HEAD']) {
      expect(await range('select=count()', method)).toBe('0-0/1')
      expect(await range('select=count()&limit=1', method)).toBe('0-0/1')
      expect(await range('select=status,count()', method)).toBe('0-2/3')
      expect(await range('select=status,count()&limit=1', method)).toBe('0-0/3')
    }
  })
})

describe('formats', () => {
  it('one object, when there is exactly one', async () => {
    const headers = { accept: 'application/vnd.pgrst.object+json' }
    const one = await desk.fetch('/tickets?select=id&id=eq.1', { headers })
    expect([one.status, one.headers.get('content-type'), await one.json()]).toEqual([
      200,
      'application/vnd.pgrst.object+json; charset=utf-8',
      { id: 1 },
    ])
    for (const [filter, rows] of [
      ['id=eq.99', 0],
      ['id=lt.4', 3],
    ]) {
      const other = await desk.fetch(`/tickets?${filter}`, { headers })
      expect([other.status, await other.json()]).toEqual([
        406,
        expect.objectContaining({ code: 'PGRST116', details: `The result contains ${rows} rows` }),
      ])
    }
  })

  it('CSV', async () => {
    const response = await desk.fetch('/customers?select=id,name,phone&order=id&limit=2', {
      headers: { accept: 'text/csv' },
    })
    expect([response.headers.get('content-type'), await response.text()]).toEqual([
      'text/csv; charset=utf-8',
      'id,name,phone\n1,Ada,"+44 1"\n2,"Bob, ""the"" builder",',
    ])
  })

  it('CSV of backslashes, lines and a column that is called as the rows are', async () => {
    await desk.sql(`insert into "Odd ""names""" values (default, 9, null, E'a\\\\b\\n"c"')`)
    try {
      const path = `/${encodeURIComponent('Odd "names"')}?select="Some, id",s&"Some, id"=eq.9`
      const response = await desk.fetch(path, { headers: { accept: 'text/csv' } })
      expect(await response.text()).toBe('"Some, id",s\n9,"a\\b\n""c"""')
    } finally {
      await desk.sql(`delete from "Odd ""names""" where "Some, id" = 9`)
    }
  })

  it('nulls can be left out', async () => {
    const headers = { accept: 'application/vnd.pgrst.array+json;nulls=stripped' }
    const response = await desk.fetch('/customers?select=id,phone&id=in.(1,2)&order=id', { headers })
    expect(await response.json()).toEqual([{ id: 1, phone: '+44 1' }, { id: 2 }])
  })

  it('a media type that is not served is 406', async () => {
    expect((await desk.fetch('/customers', { headers: { accept: 'image/png' } })).status).toBe(406)
  })
})

describe('a statement belongs to no room', () => {
  it.each([
    '/tickets?status=in.(open)&select=*,customers(*),tags!inner(*),comments(count)&order=customers(name)',
    '/open_tickets?title=fts.fire',
  ])('since it is kept for all that have the same tables: %s', async (path) => {
    desk.statements.length = 0
    await get(path)
    const [{ text }] = desk.statements as [(typeof desk.statements)[number]]
    expect(text).toContain('"{room}".')
    expect(text).not.toContain('room_b7')
  })
})

describe('a request is one statement', () => {
  it.each(['/tickets', '/tickets?select=*,customers(*),comments(*)&limit=1'])('%s', async (path) => {
    desk.statements.length = 0
    await desk.fetch(path, { headers: { prefer: 'count=exact' } })
    expect(desk.statements).toHaveLength(1)
  })
})
