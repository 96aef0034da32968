import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { BUSY } from '../support/busy.ts'
import type { TestTenant } from '../support/system.ts'
import { type Answer, type Ask, SECRETS, startWorld, supabase, type TestGateway, type World } from './support.ts'

/** Two tenants in each kind of room: one attacks the other. */
const PAIRS = { shared: ['acme', 'bolt'], schema: ['hooli', 'corex'], database: ['initech', 'delta'] } as const
const TIER_OF = { shared: 'free', schema: 'pro', database: 'enterprise' } as const
const MODELS = ['shared', 'schema', 'database'] as const

let world: World
let gateway: TestGateway
beforeAll(async () => {
  const tenants = MODELS.flatMap((model) =>
    PAIRS[model].map((slug): TestTenant => ({ slug, tier: TIER_OF[model], region: 'us' })),
  )
  world = await startWorld({ tenants })
  gateway = await world.gateway()
  for (const model of MODELS) for (const slug of PAIRS[model]) await fill(slug)
})
afterAll(() => world?.close())

/** Rows of the victim's have numbers that the attacker knows, and a mark that no answer to the attacker may hold. */
async function fill(slug: string): Promise<void> {
  const client = supabase(world, gateway, slug)
  const base = slug === PAIRS.shared[1] || slug === PAIRS.schema[1] || slug === PAIRS.database[1] ? 7000 : 1000
  const mark = markOf(slug)
  for (const [table, rows] of [
    ['customers', [{ id: base + 1, name: mark, email: `${mark}@example.com`, custom: { mark } }]],
    ['agents', [{ id: base + 1, name: mark, email: `${mark}@example.com` }]],
    ['tags', [{ id: base + 1, name: mark }]],
    ['tickets', [{ id: base + 1, customer_id: base + 1, agent_id: base + 1, subject: mark, body: mark }]],
    ['comments', [{ id: base + 1, ticket_id: base + 1, body: mark }]],
    ['ticket_tags', [{ ticket_id: base + 1, tag_id: base + 1 }]],
  ] as const) {
    expect((await client.from(table).insert(rows as never)).error).toBeNull()
  }
}

const base = (slug: string) => (MODELS.some((m) => PAIRS[m][1] === slug) ? 7001 : 1001)
const markOf = (slug: string) => `MARK-${slug.toUpperCase()}`

async function everythingOf(slug: string): Promise<unknown> {
  const client = supabase(world, gateway, slug)
  const tables = ['customers', 'agents', 'tags', 'tickets', 'comments', 'ticket_tags']
  return Promise.all(tables.map(async (t) => (await client.from(t).select()).data))
}

const json = (body: unknown): Partial<Ask> => ({
  headers: { 'content-type': 'application/json', prefer: 'return=representation,resolution=merge-duplicates' },
  body: JSON.stringify(body),
})

describe.each(MODELS)('on %s, a tenant that knows everything about another one', (model) => {
  const [attacker, victim] = PAIRS[model]
  const mark = markOf(victim)
  let before: unknown
  let victimId: string
  beforeEach(async () => {
    before = await everythingOf(victim)
    victimId = (await world.system.control.tenant(victim)).id
  })

  /** @param echo what the attacker sent and may read again */
  async function attack(path: string, options: Partial<Ask> = {}, echo: readonly string[] = []): Promise<Answer> {
    const { headers, ...rest } = options
    const answer = await gateway.ask(path, {
      ...rest,
      headers: { apikey: world.system.keyOf(attacker), ...headers },
    })
    const told = echo.reduce((text, part) => text.replaceAll(part, ''), answer.text + JSON.stringify(answer.headers))
    expect([path, told]).toEqual([path, expect.not.stringContaining(mark)])
    expect([path, told]).toEqual([path, expect.not.stringMatching(SECRETS)])
    expect([path, told]).toEqual([path, expect.not.stringContaining(victimId)])
    expect([path, answer.status, answer.text]).toEqual([path, expect.toSatisfy((s) => s < 500), answer.text])
    return answer
  }
  const unharmed = async () => expect(await everythingOf(victim)).toEqual(before)

  test('reads none of its rows, by number, by filter, by order or by embedding', async () => {
    for (const path of [
      'customers?id=eq.7001',
      'customers?id=in.(7001,7002)',
      'customers?id=not.eq.1001',
      'customers?or=(id.eq.7001,id.gt.7000)',
      'customers?not.and=(id.eq.1001)',
      'customers?name=like.MARK-*&id=gt.7000',
      'customers?custom->>mark=eq.x&id=eq.7001',
      'tickets?id=eq.7001&select=*,customers(*),agents(*),comments(*),tags(*)',
      'ticket_tags?ticket_id=eq.7001&select=*,tickets(*),tags(*)',
    ]) {
      const answer = await attack(`/rest/v1/${path}`)
      expect([path, answer.json]).toEqual([path, []])
    }
    const all = await attack('/rest/v1/tickets?select=*,customers(*),agents(*),comments(*),tags(*)', {
      headers: { prefer: 'count=exact' },
    })
    expect(all.headers['content-range']).toBe('0-0/1')
    for (const count of ['planned', 'estimated']) {
      const { headers } = await attack('/rest/v1/customers', { method: 'HEAD', headers: { prefer: `count=${count}` } })
      expect(headers['content-range']).toBe('0-0/1')
    }
    await attack('/rest/v1/customers?select=count()')
    await attack('/v1/summary')
  })

  test('cannot even name the column that keeps them apart', async () => {
    for (const [method, path, body] of [
      ['GET', `customers?tenant_id=eq.${victimId}`],
      ['GET', `customers?or=(tenant_id.eq.${victimId},id.eq.1)`],
      ['GET', 'customers?select=id,tenant_id'],
      ['GET', 'customers?select=id,t:tenant_id::text'],
      ['GET', 'customers?order=tenant_id'],
      ['GET', `tickets?select=id,customers(tenant_id)`],
      ['GET', `tickets?select=id,customers(id)&customers.tenant_id=eq.${victimId}`],
      ['GET', 'customers?tenant_id->>x=eq.1'],
      ['GET', 'customers?select=tenant_id.count()'],
      ['POST', 'customers', { id: 1, name: 'x', email: 'x', tenant_id: victimId }],
      ['POST', 'customers?columns=id,name,email,tenant_id', { id: 1, name: 'x', email: 'x', tenant_id: victimId }],
      ['POST', 'customers?on_conflict=tenant_id,email', { id: 1, name: 'x', email: 'x' }],
      [
        'POST',
        'customers',
        [
          { id: 1, name: 'x', email: 'x' },
          { id: 2, name: 'x', email: 'y', tenant_id: victimId },
        ],
      ],
      ['PATCH', 'customers?id=eq.1001', { tenant_id: victimId }],
      ['PATCH', `customers?tenant_id=eq.${victimId}`, { name: 'x' }],
      ['DELETE', `customers?tenant_id=eq.${victimId}`],
      ['PUT', 'customers?id=eq.9', { id: 9, name: 'x', email: 'x', tenant_id: victimId }],
    ] as const) {
      const answer = await attack(`/rest/v1/${path}`, { method, ...(body ? json(body) : {}) }, ['tenant_id', victimId])
      expect([method, path, answer.status]).toEqual([method, path, 400])
    }
    await unharmed()
  })

  test('changes and removes none of its rows', async () => {
    for (const [method, body] of [
      ['PATCH', { subject: 'hacked' }],
      ['DELETE', undefined],
    ] as const) {
      const answer = await attack('/rest/v1/tickets?id=eq.7001', {
        method,
        ...json(body ?? {}),
        ...(body === undefined ? { body: '' } : {}),
      })
      expect(answer.json).toEqual([])
    }
    await attack('/rest/v1/customers?id=gte.7000', { method: 'DELETE' })
    await attack('/v1/tickets/7001/resolve', { method: 'POST' })
    await unharmed()
  })

  test('with the same numbers and names it gets rows of its own, and no conflict tells it what the other one has', async () => {
    const row = { id: 7001, name: 'mine', email: `${mark}@example.com` }
    const made = await attack('/rest/v1/customers', { method: 'POST', ...json(row) }, [row.email])
    expect(made.status).toBe(201)
    const upserted = await attack(
      '/rest/v1/customers?on_conflict=email',
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'resolution=merge-duplicates,return=representation' },
        body: JSON.stringify({ name: 'still mine', email: row.email }),
      },
      [row.email],
    )
    expect(upserted.json).toMatchObject([{ id: 7001, name: 'still mine' }])
    const put = await attack('/rest/v1/tags?id=eq.7001', { method: 'PUT', ...json({ id: 7001, name: mark }) }, [mark])
    expect(put.json).toMatchObject([{ id: 7001 }])
    await attack('/rest/v1/customers?id=eq.7001', { method: 'DELETE' })
    await attack('/rest/v1/tags?id=eq.7001', { method: 'DELETE' })
    await unharmed()
  })

  test('a foreign key into its rows is one into nothing', async () => {
    for (const [method, path, body] of [
      ['POST', 'tickets', { id: 8001, customer_id: 7001, subject: 'x' }],
      ['POST', 'tickets', { id: 8001, customer_id: 1001, agent_id: 7001, subject: 'x' }],
      ['POST', 'comments', { id: 8001, ticket_id: 7001, body: 'x' }],
      ['POST', 'ticket_tags', { ticket_id: 1001, tag_id: 7001 }],
      ['PATCH', 'tickets?id=eq.1001', { customer_id: 7001 }],
      ['PATCH', 'comments?id=eq.1001', { ticket_id: 7001 }],
    ] as const) {
      const answer = await attack(`/rest/v1/${path}`, { method, ...json(body) })
      expect([path, answer.status, answer.json.code]).toEqual([path, 409, '23503'])
    }
    await unharmed()
  })

  test('is not let in by its path, its subdomain, its id or its key, together with a key of one’s own', async () => {
    const [mine, theirs] = [world.system.keyOf(attacker), world.system.keyOf(victim)]
    const host = (name: string) => ({ host: `${name}:${gateway.port}` })
    const swapped = mine.replace(/ink_[0-9a-f]{32}/, `ink_${victimId.replaceAll('-', '')}`)
    const cases: [string, Record<string, string>, number][] = [
      [`/t/${victim}/rest/v1/customers`, {}, 403],
      ['/rest/v1/customers', host(`${victim}.localhost`), 403],
      [`/t/${attacker}/rest/v1/customers`, host(`${victim}.localhost`), 403],
      [`/t/${victim}/rest/v1/customers`, host(`${attacker}.localhost`), 403],
      [`/t/${victim}/v1/whoami`, {}, 403],
      ['/rest/v1/customers', { apikey: swapped }, 401],
      [`/t/${victim}/rest/v1/customers`, { apikey: swapped }, 401],
      ['/rest/v1/customers', { apikey: mine, authorization: `Bearer ${theirs}` }, 401],
      [`/t/${attacker}/../${victim}/rest/v1/customers`, {}, 403],
      [`/t/${attacker}/%2e%2e/${victim}/rest/v1/customers`, {}, 403],
      [`/t/%${victim.charCodeAt(0).toString(16)}${victim.slice(1)}/rest/v1/customers`, {}, 400],
      [`/t/${victim}%2frest/v1/customers`, {}, 400],
      [`/t/${victim.toUpperCase()}/rest/v1/customers`, {}, 400],
      [`//t/${victim}/rest/v1/customers`, {}, 404],
      [`/t//${victim}/rest/v1/customers`, {}, 400],
    ]
    for (const [path, headers, status] of cases) {
      const answer = await attack(path, { headers })
      expect([path, headers, answer.status]).toEqual([path, headers, status])
    }
  })

  test('headers that only proxies may send, and those of other dialects, move nobody', async () => {
    const schema = (await world.system.control.tenant(victim)).placement!.schema
    for (const headers of [
      { 'x-tenant-id': victim },
      { 'x-tenant-id': victimId },
      { 'x-forwarded-host': `${victim}.localhost` },
      { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'https', 'x-real-ip': '127.0.0.1' },
      { 'accept-profile': schema, 'content-profile': schema },
      { 'x-innkeeper-tenant': victimId, 'x-innkeeper-region': 'eu' },
      { 'x-http-method-override': 'DELETE' },
      { cookie: `apikey=${world.system.keyOf(victim)}` },
    ]) {
      const answer = await attack('/rest/v1/customers?select=name', { headers })
      if (answer.status === 200) expect(answer.json).toEqual([{ name: markOf(attacker) }])
      else expect(answer.status).toBe(406)
      const who = await attack('/v1/whoami', { headers })
      expect(who.json.tenant.slug).toBe(attacker)
    }
  })

  test('mistakes of either of them say nothing of the room that it is in', async () => {
    for (const slug of [attacker, victim]) {
      for (const [method, path, body] of [
        ['GET', 'tickets?status=eq.lost'],
        ['GET', 'tickets?id=eq.x'],
        ['POST', 'tickets', { customer_id: 1, subject: 'x', status: 'lost' }],
        ['POST', 'tickets', { subject: 'x' }],
        ['POST', 'comments', { id: 8001, ticket_id: 123, body: 'x' }],
        ['POST', 'tags', { id: base(slug), name: 'again' }],
        ['POST', 'tags', { id: 8001, name: markOf(slug) }],
        ['DELETE', `agents?id=eq.${base(slug)}`],
      ] as const) {
        const answer = await gateway.ask(`/rest/v1/${path}`, {
          method,
          ...(body ? json(body) : {}),
          headers: { apikey: world.system.keyOf(slug), 'content-type': 'application/json' },
        })
        expect([slug, path, answer.status]).toEqual([slug, path, expect.toSatisfy((s) => s >= 400 && s < 500)])
        expect([slug, path, answer.text]).toEqual([slug, path, expect.not.stringMatching(SECRETS)])
      }
    }
  })

  test('SQL in any place is a value or a mistake, never SQL', async () => {
    const sql = `1); select set_config('tenancy.tenant','${victimId}',false); select * from customers; --`
    const quoted = encodeURIComponent(sql)
    for (const path of [
      `customers?name=eq.${quoted}`,
      `customers?id=eq.${quoted}`,
      `customers?${quoted}=eq.1`,
      `customers?select=${quoted}`,
      `customers?select=id,x:${quoted}`,
      `customers?order=${quoted}`,
      `customers?or=(${quoted})`,
      `customers?limit=${quoted}`,
      `customers?custom->>${quoted}=eq.1`,
      `customers?select=custom->${quoted}`,
      `customers?select=id::${quoted}`,
      `customers?on_conflict=${quoted}`,
      quoted,
      'pg_catalog.pg_class',
      'pg_class',
      'fences',
      '"tenancy"."fences"',
    ]) {
      await attack(`/rest/v1/${path}`, {}, [sql, victimId, 'tenancy.'])
    }
    await attack('/rest/v1/tags', { method: 'POST', ...json({ id: 8002, name: sql }) }, [sql, victimId, 'tenancy.'])
    await attack('/rest/v1/tags?id=eq.8002', { method: 'DELETE' }, [])
    await unharmed()
  })
})

test('a revoked key is refused within a second on every gateway, and again however often it comes', async () => {
  const second = await world.gateway()
  const { id } = await world.system.control.tenant('acme')
  const keys = world.system.control.keysOf('us')
  const { text, key } = await keys.create(id, { name: 'short', scopes: ['read'], expiresAt: null })
  const gateways = [gateway, second]
  for (const g of gateways) expect((await g.ask('/v1/whoami', { headers: { apikey: text } })).status).toBe(200)
  // What the key may not do it may not do before, either.
  expect((await gateway.ask('/rest/v1/tags?id=eq.0', { method: 'DELETE', headers: { apikey: text } })).status).toBe(403)
  await keys.revoke(id, key.id)
  const ask = (g: TestGateway) => g.ask('/v1/whoami', { headers: { authorization: `Bearer ${text}` } })
  for (const g of gateways) {
    await expect.poll(async () => (await ask(g)).status, { timeout: 1_000 * BUSY, interval: 20 }).toBe(401)
    for (let n = 0; n < 10; n++) expect((await ask(g)).json).toMatchObject({ code: 'unauthenticated' })
  }
})

test('a suspended tenant is refused within a second, and served within a second when it is back', async () => {
  const status = () => gateway.ask('/rest/v1/customers', { as: 'delta' }).then((a) => [a.status, a.json.code])
  expect((await status())[0]).toBe(200)
  await world.system.control.suspend('delta')
  await expect.poll(status, { timeout: 1_000 * BUSY, interval: 20 }).toEqual([403, 'tenant_suspended'])
  await world.system.control.resume('delta')
  await expect.poll(status, { timeout: 1_000 * BUSY, interval: 20 }).toEqual([200, undefined])
})

test('an offboarded tenant is gone, and nothing of it is left', async () => {
  await world.system.control.offboard('corex')
  const status = () => gateway.ask('/rest/v1/customers', { as: 'corex' }).then((a) => [a.status, a.json.code])
  await expect.poll(status, { timeout: 1_000 * BUSY, interval: 20 }).toEqual([410, 'tenant_gone'])
  expect((await gateway.ask('/rest/v1/customers', { as: 'hooli' })).status).toBe(200)
})
