import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Desk, openDesk, SEED } from './desk.ts'

let desk: Desk
beforeAll(async () => {
  desk = await openDesk()
  await desk.seed(SEED)
})
afterAll(() => desk?.close())

async function ask(path: string): Promise<[number, unknown]> {
  const response = await desk.fetch(path)
  return [response.status, await response.json()]
}
async function get(path: string): Promise<unknown> {
  const [status, body] = await ask(path)
  expect([status, body]).toEqual([200, body])
  return body
}

describe('what is embedded', () => {
  it('to-one is an object or null', async () => {
    expect(
      await get('/tickets?select=id,customers(name),agent:agents!tickets_agent_fkey(name)&id=in.(1,3)&order=id'),
    ).toEqual([
      { id: 1, customers: { name: 'Ada' }, agent: { name: 'Noor' } },
      { id: 3, customers: { name: 'Bob, "the" builder' }, agent: null },
    ])
  })

  it('to-many is a list, empty where there is nothing', async () => {
    expect(await get('/tickets?select=id,comments(body)&id=lt.3&order=id&comments.order=id.desc')).toEqual([
      { id: 1, comments: [{ body: 'All' }, { body: 'Which one?' }] },
      { id: 2, comments: [] },
    ])
  })

  it('many-to-many goes through the join table, from both sides', async () => {
    expect(await get('/tickets?select=id,tags(name)&order=id&limit=2&tags.order=name')).toEqual([
      { id: 1, tags: [{ name: 'office' }, { name: 'urgent' }] },
      { id: 2, tags: [] },
    ])
    expect(await get('/tags?select=name,tickets(id)&order=id&tickets.order=id')).toEqual([
      { name: 'urgent', tickets: [{ id: 1 }] },
      { name: 'office', tickets: [{ id: 1 }, { id: 4 }] },
    ])
    expect(await get('/tags?select=tickets!ticket_tags(id)&id=eq.1')).toEqual([{ tickets: [{ id: 1 }] }])
  })

  it('a foreign key that is unique makes one-to-one, on both sides', async () => {
    expect(await get('/customers?select=id,profiles(bio)&order=id&limit=2')).toEqual([
      { id: 1, profiles: { bio: 'Counts' } },
      { id: 2, profiles: null },
    ])
    expect(await get('/profiles?select=bio,customers(name)')).toEqual([{ bio: 'Counts', customers: { name: 'Ada' } }])
  })

  it('embeds nest, and star shows no tenant_id at any level', async () => {
    const body = await get(
      '/customers?select=*,tickets(*,comments(*),tags(*))&id=eq.1&tickets.order=id&tickets.comments.order=id',
    )
    expect(body).toMatchObject([
      {
        id: 1,
        tickets: [
          { id: 1, comments: [{ id: 1 }, { id: 2 }] },
          { id: 2, comments: [] },
        ],
      },
    ])
    expect(JSON.stringify(body)).not.toContain('tenant_id')
  })

  it('spread puts the columns of a to-one into its parent', async () => {
    expect(await get('/tickets?select=id,...customers(customer:name,...profiles(bio))&id=in.(1,3)&order=id')).toEqual([
      { id: 1, customer: 'Ada', bio: 'Counts' },
      { id: 3, customer: 'Bob, "the" builder', bio: null },
    ])
  })

  it('spread of a to-many gives a list for each of its columns, in one order', async () => {
    const path =
      '/customers?select=id,...tickets(ids:id,titles:title,...agents!tickets_agent_fkey(agents:name))&order=id&tickets.order=id.desc'
    expect(await get(path)).toEqual([
      { id: 1, ids: [2, 1], titles: ['Password lost', 'Printer on fire'], agents: ['Noor', 'Noor'] },
      { id: 2, ids: [4, 3], titles: ['A chair', 'Slow Wi-Fi'], agents: ['Oki', null] },
      { id: 3, ids: [], titles: [], agents: [] },
    ])
    expect(await get('/tickets?select=id,...tags(tags:name)&id=eq.1&tags.order=name')).toEqual([
      { id: 1, tags: ['office', 'urgent'] },
    ])
  })

  it('spread of nothing leaves each parent as it is, once', async () => {
    expect(await get('/customers?select=id,...tickets(customers())&order=id')).toEqual([
      { id: 1 },
      { id: 2 },
      { id: 3 },
    ])
  })

  it('a table that refers to itself is entered by column towards the one, by name towards the many', async () => {
    expect(await get('/agents?select=name,manager:manager_id(name)&order=id')).toEqual([
      { name: 'Mia', manager: null },
      { name: 'Noor', manager: { name: 'Mia' } },
      { name: 'Oki', manager: { name: 'Mia' } },
    ])
    expect(await get('/agents?select=name,reports:agents!manager_id(name)&id=eq.1&reports.order=id')).toEqual([
      { name: 'Mia', reports: [{ name: 'Noor' }, { name: 'Oki' }] },
    ])
  })

  it('never shows the row of another tenant that has the same id', async () => {
    expect(await get('/tickets?select=title,customers(name)&id=eq.1')).toEqual([
      { title: 'Printer on fire', customers: { name: 'Ada' } },
    ])
    desk.tenant = '01890a5d-ac96-774b-bcce-b302099a8058'
    try {
      expect(await get('/tickets?select=title,customers(name)&id=eq.1')).toEqual([
        { title: 'Theirs', customers: { name: 'Rival' } },
      ])
    } finally {
      desk.tenant = '01890a5d-ac96-774b-bcce-b302099a8057'
    }
  })
})

describe('which relationship is meant', () => {
  it.each(['agents!tickets_reviewer_fkey', 'agents!reviewer_id', 'reviewer_id', 'tickets_reviewer_fkey'])(
    '%s',
    async (target) => {
      expect(await get(`/tickets?select=reviewer:${target}(name)&id=eq.1`)).toEqual([{ reviewer: { name: 'Mia' } }])
    },
  )

  it('the many side is picked by the same hints', async () => {
    expect(await get('/agents?select=reviews:tickets!tickets_reviewer_fkey(id)&id=eq.1&reviews.order=id')).toEqual([
      { reviews: [{ id: 1 }, { id: 4 }] },
    ])
  })

  it('two foreign keys without a hint are PGRST201, which names the choices', async () => {
    const [status, body] = await ask('/tickets?select=agents(name)')
    expect([status, body]).toMatchObject([300, { code: 'PGRST201' }])
    expect((body as { hint: string }).hint).toContain("'agents!tickets_agent_fkey', 'agents!tickets_reviewer_fkey'")
    expect(JSON.stringify(body)).not.toContain('tenant_id')
  })

  it('a table that only happens to have two foreign keys is no join table', async () => {
    expect(await ask('/customers?select=agents(name)')).toMatchObject([400, { code: 'PGRST200' }])
  })

  it('no foreign key is PGRST200', async () => {
    expect(await ask('/tickets?select=profiles(bio)')).toMatchObject([400, { code: 'PGRST200' }])
    expect(await ask('/tickets?select=coments(body)')).toMatchObject([
      400,
      { code: 'PGRST200', hint: "Perhaps you meant 'comments' instead of 'coments'." },
    ])
  })
})

describe('filters on what is embedded', () => {
  it('shape the embedded rows only', async () => {
    expect(await get('/tickets?select=id,comments(id)&comments.internal=is.true&order=id&limit=2')).toEqual([
      { id: 1, comments: [{ id: 2 }] },
      { id: 2, comments: [] },
    ])
    expect(
      await get('/tickets?select=id,c:comments(id)&c.or=(id.eq.1,body.eq.All)&c.order=id&c.limit=1&c.offset=1&id=eq.1'),
    ).toEqual([{ id: 1, c: [{ id: 2 }] }])
    expect(
      await get(
        '/customers?select=id,tickets(id,comments(id))&tickets.status=eq.open&tickets.comments.not.and=(id.eq.1)&id=eq.1',
      ),
    ).toEqual([{ id: 1, tickets: [{ id: 1, comments: [{ id: 2 }] }] }])
  })

  it('!inner leaves out the parents without any, and the count agrees', async () => {
    const response = await desk.fetch(
      '/tickets?select=id,comments!inner(id)&comments.internal=is.false&order=id&limit=1',
      {
        headers: { prefer: 'count=exact' },
      },
    )
    expect([response.headers.get('content-range'), await response.json()]).toEqual([
      '0-0/2',
      [{ id: 1, comments: [{ id: 1 }] }],
    ])
    expect(
      await get('/customers?select=id,tickets!inner(id,comments!inner(id))&tickets.comments.internal=is.true'),
    ).toEqual([{ id: 1, tickets: [{ id: 1, comments: [{ id: 2 }] }] }])
    expect(await get('/tickets?select=id,agents!tickets_agent_fkey!inner(name)&agents.name=eq.Oki')).toEqual([
      { id: 4, agents: { name: 'Oki' } },
    ])
  })

  it('is.null and not.is.null ask whether there are any', async () => {
    expect(await get('/tickets?select=id,tags()&tags=is.null&order=id')).toEqual([{ id: 2 }, { id: 3 }])
    expect(await get('/tickets?select=id,tags()&tags=not.is.null&tags.name=eq.urgent')).toEqual([{ id: 1 }])
    expect(
      await get('/tickets?select=id,tags(),comments()&or=(tags.not.is.null,comments.not.is.null)&order=id'),
    ).toEqual([{ id: 1 }, { id: 3 }, { id: 4 }])
    expect(await ask('/tickets?select=id,tags()&tags=eq.1')).toMatchObject([400, { code: 'PGRST120' }])
  })

  it('a filter on what is not embedded is PGRST108', async () => {
    expect(await ask('/tickets?select=id&comments.id=eq.1')).toMatchObject([400, { code: 'PGRST108' }])
    expect(await ask('/tickets?select=id&order=customers(name)')).toMatchObject([400, { code: 'PGRST108' }])
    expect(await ask('/customers?select=id,tickets(id)&order=tickets(id)')).toMatchObject([400, { code: 'PGRST118' }])
  })

  it('joins name every column of the key, so that its index is used', async () => {
    desk.statements.length = 0
    await get('/tickets?select=id,customers(name)')
    expect(desk.statements[0]!.text).toMatch(/"tenant_id" = t\d+\."tenant_id" and t\d+\."id" = t\d+\."customer_id"/)
  })
})
