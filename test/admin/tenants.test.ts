import { afterAll, beforeAll, expect, test } from 'vitest'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let admin: TestAdmin
beforeAll(async () => {
  system = await startTestSystem({
    regions: ['us', 'eu'],
    tenants: [
      { slug: 'acme', tier: 'free', region: 'us' },
      { slug: 'hooli', tier: 'pro', region: 'us' },
      { slug: 'umbrella', tier: 'free', region: 'eu' },
    ],
    configure: (input) => ({ ...input, tiers: { ...input.tiers, starter: { isolation: 'shared' } } }),
  })
  admin = await startTestAdmin(system)
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

const call: TestAdmin['call'] = (...args) => admin.call(...args)
const TENANTS = '/admin/v1/tenants'
const slugs = (answer: Awaited<ReturnType<typeof call>>) => answer.body.tenants.map((t: { slug: string }) => t.slug)

test('a tenant is shown with its tier, model, region, status and place', async () => {
  const { status, body } = await call('GET', `${TENANTS}/hooli`)
  expect(status).toBe(200)
  expect(body).toMatchObject({
    slug: 'hooli',
    tier: 'pro',
    isolation: 'schema',
    region: 'us',
    status: 'active',
    placement: { cluster: 'us-1', database: 'innkeeper_schemas', isolation: 'schema', epoch: expect.any(Number) },
    domains: [],
    url: 'http://localhost:8080/t/hooli',
  })
  expect((await call('GET', `${TENANTS}/${body.id}`)).body).toEqual(body)
  expect((await call('GET', `${TENANTS}/nobody`)).body).toMatchObject({ status: 404, code: 'tenant_not_found' })
})

test('the list goes page by page and is filtered by region, tier and status', async () => {
  const first = await call('GET', `${TENANTS}?limit=2`)
  expect(slugs(first)).toEqual(['acme', 'hooli'])
  expect(first.body.next).toBe('hooli')
  const link = /<([^>]+)>; rel="next"/.exec(first.headers.get('link')!)![1]!
  const last = await call('GET', link)
  expect(slugs(last)).toContain('umbrella')
  expect(last.body.next).toBeNull()
  expect(last.headers.get('link')).toBeNull()
  expect(slugs(await call('GET', `${TENANTS}?region=eu`))).toEqual(['umbrella'])
  expect(slugs(await call('GET', `${TENANTS}?tier=pro&status=active`))).toEqual(['hooli'])
})

test('a wrong parameter or field is refused by name', async () => {
  const faults = [
    ['GET', '?limit=0', undefined, 'limit'],
    ['GET', '?limit=1&limit=2', undefined, 'limit'],
    ['GET', '?colour=red', undefined, 'colour'],
    ['GET', '?region=mars', undefined, 'region'],
    ['GET', '?status=happy', undefined, 'status'],
    ['POST', '', {}, 'slug'],
    ['POST', '', { slug: 'Bad_Slug', region: 'us' }, 'slug'],
    ['POST', '', { slug: 'good' }, 'region'],
    ['POST', '', { slug: 'good', region: 'us', tier: 'platinum' }, 'tier'],
    ['POST', '', { slug: 'good', region: 'us', colour: 'red' }, 'colour'],
    ['POST', '', { slug: 'good', region: 'us', domains: ['https://x.com/'] }, 'domains.0'],
    ['POST', '', { slug: 'good', region: 'us', domains: ['acme.localhost'] }, 'domain'],
    ['POST', '', '{"slug":', 'body'],
    ['POST', '', [], 'body'],
  ] as const
  for (const [method, rest, body, field] of faults) {
    const answer = await call(method, TENANTS + rest, body)
    expect(answer, `${method} ${rest} ${JSON.stringify(body)}`).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', field },
    })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
  }
  expect((await call('GET', `${TENANTS}/good`)).status).toBe(404)
})

test('a tenant is made with its room and its domains, and the same key makes it once', async () => {
  const body = { slug: 'stark', region: 'eu', tier: 'enterprise', domains: ['Desk.Stark.Example'] }
  const headers = { 'idempotency-key': 'order-17' }
  const made = await call('POST', TENANTS, body, headers)
  expect(made).toMatchObject({
    status: 201,
    body: { slug: 'stark', isolation: 'database', status: 'active', domains: ['desk.stark.example'] },
  })
  expect(made.headers.get('location')).toBe(`${TENANTS}/stark`)
  const again = await call('POST', TENANTS, body, headers)
  expect(again.status).toBe(200)
  expect(again.body.id).toBe(made.body.id)
  expect((await call('POST', TENANTS, body)).body).toMatchObject({ status: 409, code: 'conflict', field: 'slug' })
  expect((await call('POST', TENANTS, { ...body, slug: 'other' }, headers)).body).toMatchObject({ code: 'conflict' })
  expect((await call('POST', TENANTS, body, { 'idempotency-key': 'a b' })).body.field).toBe('Idempotency-Key')
})

test('an idempotency key means what was first asked with it, whatever becomes of the tenant', async () => {
  const body = { slug: 'wayne', region: 'us', away: 'reject', domains: ['b.wayne.example', 'a.wayne.example'] }
  const headers = { 'idempotency-key': 'order-18' }
  const { id } = (await call('POST', TENANTS, body, headers)).body
  const others = [
    { away: 'forward' },
    { away: undefined },
    { domains: ['a.wayne.example', 'c.wayne.example'] },
    { domains: [] },
    { tier: 'starter' },
  ]
  for (const other of others) {
    const refused = await call('POST', TENANTS, { ...body, ...other }, headers)
    expect(refused, JSON.stringify(other)).toMatchObject({ status: 409, body: { code: 'conflict' } })
  }
  const same = { ...body, domains: ['A.wayne.example', 'b.wayne.example'], reason: 'again' }
  const again = async () => (await call('POST', TENANTS, same, headers)).body
  expect(await again()).toMatchObject({ id, away: 'reject', domains: ['a.wayne.example', 'b.wayne.example'] })
  await call('PATCH', `${TENANTS}/wayne`, { tier: 'starter', away: 'redirect' })
  expect(await again()).toMatchObject({ id, tier: 'starter', away: 'redirect' })
  await call('DELETE', `${TENANTS}/wayne`)
  expect(await again()).toMatchObject({ id, status: 'offboarded', domains: [] })
})

test('a key of a tenant made by a version without digests is compared with the tenant', async () => {
  const body = { slug: 'older', region: 'us' }
  const headers = { 'idempotency-key': 'order-19' }
  const { id } = (await call('POST', TENANTS, body, headers)).body
  await withAdmin(
    system.env.INNKEEPER_CONTROL_URL!,
    null,
    {},
    (sql) => sql`update tenants set request_digest = null where slug = 'older'`,
  )
  expect(await call('POST', TENANTS, body, headers)).toMatchObject({ status: 200, body: { id } })
  expect((await call('POST', TENANTS, { ...body, tier: 'pro' }, headers)).status).toBe(409)
})

test('no tenant is called as another’s id: by that name the other would be answered, and removed', async () => {
  const { id } = (await call('GET', `${TENANTS}/acme`)).body
  expect((await call('POST', TENANTS, { slug: id, region: 'us' })).body).toMatchObject({ status: 400, field: 'slug' })
  await expect(system.control.createTenant({ slug: id, region: 'us' })).rejects.toMatchObject({ field: 'slug' })
})

test('a suspended tenant is refused its data until it is resumed', async () => {
  const tenants = await system.openTenants()
  const read = () => tenants.session('acme').execute({ text: 'select 1 as one', params: [] })
  const suspended = await call('PATCH', `${TENANTS}/acme`, { status: 'suspended', reason: 'unpaid' })
  expect(suspended).toMatchObject({ status: 200, body: { status: 'suspended' } })
  await expect(read()).rejects.toMatchObject({ code: 'tenant_suspended' })
  expect((await call('PATCH', `${TENANTS}/acme`, { status: 'active' })).body.status).toBe('active')
  await expect.poll(() => read().then((r) => r.rows)).toEqual([{ one: 1 }])
  expect((await call('PATCH', `${TENANTS}/acme`, {})).status).toBe(400)
  expect((await call('PATCH', `${TENANTS}/acme`, { away: 'redirect' })).body.away).toBe('redirect')
  expect((await call('PATCH', `${TENANTS}/acme`, { away: 'nowhere' })).body.field).toBe('away')
  expect((await call('PATCH', `${TENANTS}/acme`, { away: null })).body.away).toBe('forward')
  expect((await call('PATCH', `${TENANTS}/acme`, { status: 'offboarded' })).body.field).toBe('status')
})

test('a tier of the same model is a change of limits; of another model it needs a move', async () => {
  expect((await call('PATCH', `${TENANTS}/acme`, { tier: 'starter' })).body).toMatchObject({ tier: 'starter' })
  const refused = await call('PATCH', `${TENANTS}/acme`, { tier: 'enterprise', status: 'suspended' })
  expect(refused.body).toMatchObject({ status: 409, code: 'conflict', field: 'tier' })
  expect((await call('GET', `${TENANTS}/acme`)).body).toMatchObject({ tier: 'starter', status: 'active' })
  expect((await call('PATCH', `${TENANTS}/acme`, { tier: 'gold' })).body).toMatchObject({ status: 400, field: 'tier' })
})

test('a domain belongs to one tenant, until it is taken away', async () => {
  const path = `${TENANTS}/hooli/domains`
  expect((await call('POST', path, { domain: 'help.hooli.example' })).status).toBe(201)
  expect((await call('POST', path, { domain: 'HELP.hooli.example' })).status).toBe(200)
  expect((await call('GET', path)).body).toEqual({ domains: ['help.hooli.example'] })
  const taken = await call('POST', `${TENANTS}/acme/domains`, { domain: 'help.hooli.example' })
  expect(taken.body).toMatchObject({ status: 409, code: 'conflict' })
  expect((await call('DELETE', `${TENANTS}/acme/domains/help.hooli.example`)).status).toBe(404)
  expect((await call('DELETE', `${path}/help.hooli.example`)).status).toBe(200)
  expect((await call('GET', path)).body).toEqual({ domains: [] })
})

test('a key is shown once, listed without its text, and revoked', async () => {
  const path = `${TENANTS}/hooli/keys`
  const { status, body } = await call('POST', path, { name: 'reports', scopes: ['read', 'read'] })
  expect(status).toBe(201)
  expect(body).toMatchObject({ name: 'reports', scopes: ['read'], status: 'active', expiresAt: null })
  expect(body.apiKey).toMatch(/^ink_[0-9a-f]{32}_/)
  const listed = await call('GET', path)
  expect(JSON.stringify(listed.body)).not.toContain(body.apiKey.slice(-43))
  expect(listed.body.keys[0]).toMatchObject({ id: body.id, name: 'reports' })
  expect((await call('DELETE', `${TENANTS}/acme/keys/${body.id}`)).body.code).toBe('not_found')
  expect((await call('DELETE', `${path}/nonsense`)).body.code).toBe('not_found')
  expect((await call('DELETE', `${path}/${body.id}`)).body.status).toBe('revoked')
  expect((await call('POST', path, { expiresAt: '2001-01-01T00:00:00Z' })).body.field).toBe('expiresAt')
  expect((await call('POST', path, { scopes: ['admin'] })).body.field).toBe('scopes.0')
})

test('a tenant that has left has no room, no keys and no way back', async () => {
  await call('POST', TENANTS, { slug: 'leaver', region: 'us', tier: 'pro', domains: ['leaver.example'] })
  const { body } = await call('POST', `${TENANTS}/leaver/keys`, {})
  const gone = await call('DELETE', `${TENANTS}/leaver`, { reason: 'asked for it' })
  expect(gone).toMatchObject({ status: 200, body: { status: 'offboarded', placement: null, domains: [] } })
  expect((await call('DELETE', `${TENANTS}/leaver`)).status).toBe(200)
  expect((await call('GET', `${TENANTS}/leaver/keys`)).body.keys).toMatchObject([{ id: body.id, status: 'revoked' }])
  for (const [method, path] of [
    ['PATCH', ''],
    ['POST', '/keys'],
    ['POST', '/domains'],
  ] as const) {
    const answer = await call(
      method,
      `${TENANTS}/leaver${path}`,
      { '': { status: 'active' }, '/keys': {}, '/domains': { domain: 'a.example' } }[path],
    )
    expect(answer.body, path).toMatchObject({ status: 410, code: 'tenant_gone' })
  }
})

test('every change is logged with who, what and why, and no secret', async () => {
  admin.lines.length = 0
  await call('PATCH', `${TENANTS}/umbrella`, { status: 'suspended', reason: 'court order' })
  await call('PATCH', `${TENANTS}/umbrella`, { status: 'suspended' })
  await call(
    'PATCH',
    `${TENANTS}/umbrella`,
    { status: 'active' },
    { 'x-reason': encodeURIComponent('erledigt für heute') },
  )
  const key = await call('POST', `${TENANTS}/umbrella/keys`, { name: 'n' })
  await call('GET', `${TENANTS}/umbrella`)
  const changes = admin.lines.filter((l) => l.event === 'admin.change')
  expect(changes).toMatchObject([
    { actor: 'admin', action: 'tenant.suspend', reason: 'court order', tenant_slug: 'umbrella' },
    { actor: 'admin', action: 'tenant.resume', reason: 'erledigt für heute' },
    { actor: 'admin', action: 'key.create', reason: null, details: { id: key.body.id } },
  ])
  expect(changes[0]!.request_id).toBeTypeOf('string')
  const text = JSON.stringify(admin.lines)
  expect(text).not.toContain(key.body.apiKey)
  expect(text).not.toContain(admin.token)
})
