import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RestError } from '../../gateway/rest/errors.ts'
import { fromDatabaseError, isDatabaseError } from '../../gateway/rest/sqlstate.ts'
import { type Desk, openDesk, RIVAL, SEED } from './desk.ts'

let desk: Desk
beforeAll(async () => {
  desk = await openDesk()
  await desk.seed(SEED)
})
afterAll(() => desk?.close())

async function ask(path: string, init?: RequestInit): Promise<[number, unknown]> {
  const response = await desk.fetch(path, init)
  return [response.status, await response.json()]
}

const json = (method: string, body: unknown): RequestInit => ({
  method,
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
})

describe('names that do not exist', () => {
  it('an unknown table is 404 with the nearest name', async () => {
    expect(await ask('/tikets')).toEqual([
      404,
      {
        code: 'PGRST205',
        message: "Could not find the table 'tikets' in the schema cache",
        details: null,
        hint: "Perhaps you meant the table 'tickets'",
      },
    ])
    expect(await ask('/pg_class')).toMatchObject([404, { code: 'PGRST205' }])
  })

  it('a table that the role may not read does not exist', async () => {
    expect(await ask('/secrets')).toMatchObject([404, { code: 'PGRST205' }])
  })

  it.each([
    '/tickets?select=titel',
    '/tickets?titel=eq.1',
    '/tickets?order=titel',
    '/tickets?or=(id.eq.1,titel.eq.2)',
    '/tickets?titel=nonsense',
    '/tickets?titel->a=eq.1',
  ])('%s is 42703 with the nearest name', async (path) => {
    expect(await ask(path)).toEqual([
      400,
      {
        code: '42703',
        message: 'column tickets.titel does not exist',
        details: null,
        hint: "Perhaps you meant the column 'title'",
      },
    ])
  })

  it.each([
    '/tickets?select=tenant_id',
    `/tickets?tenant_id=eq.${RIVAL}`,
    '/tickets?order=tenant_id',
    '/tickets?select=customers(tenant_id)',
    `/tickets?select=customers!inner(id)&customers.tenant_id=eq.${RIVAL}`,
  ])('tenant_id is no column: %s', async (path) => {
    const [status, body] = await ask(path)
    expect([status, body]).toMatchObject([400, { code: '42703' }])
  })

  it('tenant_id is no column of a payload, of columns= or of on_conflict=', async () => {
    const row = { name: 'x', email: 'y', tenant_id: RIVAL }
    expect(await ask('/customers', json('POST', row))).toMatchObject([400, { code: 'PGRST204' }])
    expect(await ask('/customers?columns=tenant_id', json('POST', row))).toMatchObject([400, { code: 'PGRST204' }])
    expect(await ask('/customers?id=eq.1', json('PATCH', row))).toMatchObject([400, { code: 'PGRST204' }])
    const upsert = {
      ...json('POST', { name: 'x', email: 'y' }),
      headers: { 'content-type': 'application/json', prefer: 'resolution=merge-duplicates' },
    }
    expect(await ask('/customers?on_conflict=tenant_id,email', upsert)).toMatchObject([400, { code: 'PGRST204' }])
  })

  it('functions are not there yet', async () => {
    expect(await ask('/rpc/anything', json('POST', {}))).toMatchObject([404, { code: 'PGRST202' }])
  })
})

describe('requests that cannot be read', () => {
  it.each([
    '/tickets?id=5',
    '/tickets?id=equals.5',
    '/tickets?id=in.1,2',
    '/tickets?id=in.(1,2',
    '/tickets?id=is.maybe',
    '/tickets?id=neq(any).{1}',
    '/tickets?or=id.eq.1',
    '/tickets?or=(id.eq.1',
    '/tickets?or=()',
    '/tickets?or=(id.eq.1))',
    '/tickets?or=(id)',
    '/tickets?select=id,',
    '/tickets?select=id)',
    '/tickets?select=customers(id',
    '/tickets?select="id',
    '/tickets?select=custom->',
    '/tickets?select=custom->>a->b',
    '/tickets?order=id.up',
    '/tickets?order=id.asc.desc',
    '/tickets?limit=many',
    '/tickets?"id=eq.1',
    '/tickets?title=fts(99999).x',
    '/tickets?title=fts(-).x',
  ])('%s is PGRST100', async (path) => {
    expect(await ask(path)).toMatchObject([400, { code: 'PGRST100', message: expect.any(String) }])
  })

  it.each<[string, string]>([
    ['conditions', `or=(${'id.eq.1,'.repeat(600)}id.eq.1)`],
    ['depth of a tree', `or=${'(and'.repeat(12)}(id.eq.1)${')'.repeat(12)}`],
    ['depth of embedding', `select=${'tickets(customers('.repeat(6)}id${'))'.repeat(6)}`],
    ['embeds', `select=${Array.from({ length: 40 }, (_, n) => `a${n}:customers(id)`).join(',')}`],
    ['columns', `select=${'id,'.repeat(600)}id`],
    ['JSON steps', `select=custom${'->a'.repeat(20)}`],
    ['terms of order', `order=${'id,'.repeat(40)}id`],
    ['parameters', 'id=eq.1&'.repeat(600)],
    [
      'parts of the statement',
      `select=id,customers(id)&order=${'customers(id),'.repeat(30)}id&${'customers.id=eq.1&'.repeat(400)}`,
    ],
  ])('the number of %s is bounded', async (_what, query) => {
    expect(await ask(`/tickets?${query}`)).toMatchObject([400, { code: 'PGRST100' }])
  })

  it('an aggregate is PGRST123', async () => {
    for (const name of ['sum', 'avg', 'min', 'max', 'count']) {
      expect(await ask(`/tickets?select=amount.${name}()`)).toMatchObject([400, { code: 'PGRST123' }])
    }
  })

  it.each([
    '"{room}":id',
    'custom->"{room}"',
    '"x""{room}""y":customers(id)',
    'a%00b:id',
    'custom->""',
    '"{room}":count()',
  ])('the client names nothing that would become the name of a room: select=%s', async (select) => {
    const [status, body] = await ask(`/tickets?select=${select}`)
    expect([status, JSON.stringify(body)]).toEqual([400, expect.stringContaining('PGRST100')])
    expect(JSON.stringify(body)).not.toContain('room_b7')
  })

  it('strict handling refuses what it does not know', async () => {
    const strict = { headers: { prefer: 'handling=strict, foo=bar' } }
    expect(await ask('/tags', strict)).toMatchObject([400, { code: 'PGRST122' }])
    expect((await desk.fetch('/tags', { headers: { prefer: 'foo=bar' } })).status).toBe(200)
  })
})

describe("the database's own errors", () => {
  it.each<[string, RequestInit, number, string]>([
    ['/customers', json('POST', { name: 'x', email: 'ada@example.com' }), 409, '23505'],
    ['/tickets', json('POST', { title: 'x', customer_id: 9 }), 409, '23503'],
    ['/tickets', json('POST', { title: null, customer_id: 1 }), 400, '23502'],
    ['/tickets', json('POST', { title: 'x', customer_id: 1, priority: 9 }), 400, '23514'],
    ['/tickets', json('POST', { title: 'x', customer_id: 1, priority: 'high' }), 400, '22P02'],
    ['/tickets', json('POST', { title: 'x'.repeat(61), customer_id: 1 }), 400, '22001'],
    ['/tickets', json('POST', { title: 'x', customer_id: 1, status: 'lost' }), 400, '22P02'],
    ['/tickets', json('POST', { title: 'x', customer_id: 1, shout: 'X' }), 400, '428C9'],
    ['/tickets', json('POST', { title: '\0', customer_id: 1 }), 400, '22P05'],
    ['/tickets?priority=eq.high', {}, 400, '22P02'],
    ['/tickets?created_at=gt.someday', {}, 400, '22007'],
    ['/tickets?priority=like.1*', {}, 404, '42883'],
    ['/customers?id=eq.1', { method: 'DELETE' }, 409, '23503'],
  ])('%s %o is %i %s, and says nothing of tenants', async (path, init, status, code) => {
    const [found, body] = await ask(path, init)
    expect([found, body]).toEqual([
      status,
      {
        code,
        message: expect.any(String),
        details: expect.toBeOneOf([null, expect.any(String)]),
        hint: expect.toBeOneOf([null, expect.any(String)]),
      },
    ])
    expect(JSON.stringify(body)).not.toMatch(/tenant|room_b7/)
  })

  const raised = (code: string, message: string, detail?: string) =>
    Object.assign(new Error(message), { code, severity: 'ERROR', ...(detail === undefined ? {} : { detail }) })

  it.each<[string, string | null]>([
    [`Key (tenant_id, email)=(${RIVAL}, a, b@x) already exists.`, 'Key (email)=(a, b@x) already exists.'],
    [
      `Key (tenant_id, id)=(${RIVAL}, 1) is still referenced from table "tickets".`,
      'Key (id)=(1) is still referenced from table "tickets".',
    ],
    [`Key (email, tenant_id)=(x, ${RIVAL}) already exists.`, null],
    [`Key (tenant_id, at)=(${RIVAL}, 1) conflicts with existing key (tenant_id, at)=(${RIVAL}, 1).`, null],
    [`Failing row contains (${RIVAL}, 7, null).`, null],
    [
      'Something in room_c9.tickets, "Room 9".tags, room_c9."tags" and 1.5',
      'Something in tickets, tags, "tags" and 1.5',
    ],
  ])('the detail "%s" is shown as "%s"', (detail, shown) => {
    expect(fromDatabaseError(raised('23505', 'x', detail), desk.catalogue)?.details).toBe(shown)
  })

  it('constraint and schema names lose what a tenant must not see', () => {
    const error = raised('23505', 'duplicate key value violates unique constraint "customers_tenant_id_email_key"')
    expect(fromDatabaseError(error, desk.catalogue)?.message).toBe(
      'duplicate key value violates unique constraint "customers_email_key"',
    )
    expect(fromDatabaseError(raised('23505', 'constraint "tenant_id_email"'), desk.catalogue)?.message).toBe(
      'constraint "email"',
    )
    expect(
      fromDatabaseError(raised('22P02', 'invalid input value for enum room_c9.ticket_status: "x.y"'), desk.catalogue)
        ?.message,
    ).toBe('invalid input value for enum ticket_status: "x.y"')
    const tags = desk.catalogue.tables.get('tags')!
    const id = tags.columns.get('id')!
    const odd = { ...id, type: { ...id.type, label: '"Odd ""type"""[]' } }
    const tables = new Map([...desk.catalogue.tables, ['odds', { ...tags, columns: new Map([['odd', odd]]) }]])
    const names = raised('22P02', 'no room_c9."Odd ""type""" in room_c9."Odd ""names"""')
    expect(fromDatabaseError(names, { ...desk.catalogue, tables })?.message).toBe(
      'no "Odd ""type""" in "Odd ""names"""',
    )
  })

  it('a message repeats no more of a value than a person reads, and no part of a name that the cut left', async () => {
    const answer = await ask('/tags', json('POST', { id: 'x'.repeat(1_000_000) }))
    expect(answer).toMatchObject([400, { code: '22P02' }])
    expect(JSON.stringify(answer).length).toBeLessThan(5_000)
    const message = `${'x '.repeat(1_992)}"room_c9".ticket_status`
    expect(fromDatabaseError(raised('22P02', message), desk.catalogue)?.message).not.toContain('room')
  })

  it('no message names the hidden column', () => {
    const error = raised('23502', 'null value in column "tenant_id" of relation "tags" violates not-null constraint')
    expect(fromDatabaseError(error, desk.catalogue)?.message).not.toContain('tenant_id')
  })

  it.each<[string, number | null]>([
    ['40001', 409],
    ['57014', 504],
    ['42501', 403],
    ['25006', 405],
    ['P0001', 400],
    ['PT402', 402],
    ['XX000', null],
    ['53300', null],
    ['58P01', null],
  ])('%s is %s (null: for the gateway to handle)', (code, status) => {
    expect(fromDatabaseError(raised(code, 'x'), desk.catalogue)?.status ?? null).toBe(status)
  })

  it('an error of the connection is not taken for one of the database', () => {
    expect(isDatabaseError(Object.assign(new Error('x'), { code: 'ECONNRESET' }))).toBe(false)
    expect(isDatabaseError(new RestError(400, 'PGRST100', 'x'))).toBe(false)
  })

  it('what is not of the dialect goes on to the gateway', async () => {
    const { tenant } = desk
    desk.tenant = 'not a uuid'
    try {
      expect(await ask('/tags')).toMatchObject([400, { code: '22P02' }])
    } finally {
      desk.tenant = tenant
    }
    await desk.sql(
      `create or replace function room_b7.current_tenant() returns uuid language plpgsql stable as $$ begin raise exception 'boom' using errcode = 'XX000'; end $$`,
    )
    expect(await ask('/tags')).toMatchObject([500, { code: 'gateway' }])
    await desk.sql(
      `create or replace function room_b7.current_tenant() returns uuid language sql stable as $$ select nullif(current_setting('test.tenant', true), '')::uuid $$`,
    )
  })

  it('other methods are refused, OPTIONS names those there are', async () => {
    const options = await desk.fetch('/tags', { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([200, 'OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE'])
    expect(await ask('/tags', { method: 'PURGE' })).toMatchObject([405, { code: 'PGRST117' }])
  })
})
