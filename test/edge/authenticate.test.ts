import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeKeyText } from '../../tiers/keys/text.ts'
import type { Tenant, TenantId } from '../../tiers/types.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { type Issuer, startIssuer } from './support/issuer.ts'
import { World } from './support/world.ts'

const world = new World()
let issuer: Issuer
let gateway: TestGateway
let acme: Tenant
let globex: Tenant

beforeAll(async () => {
  issuer = await startIssuer()
  acme = world.tenant('acme')
  globex = world.tenant('globex')
  gateway = await startGateway({ world, config: { jwt: [jwtOf(issuer)] } })
})
afterAll(() => Promise.all([gateway.close(), issuer.close()]))

const jwtOf = ({ issuer, jwksUrl }: Issuer) => ({ issuer, jwksUrl, audience: 'innkeeper' })
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const whoami = (headers: Record<string, string>, path = '/v1/whoami') => gateway.ask(path, headers)

describe('API keys', () => {
  test.each([
    ['is not a key', () => 'secret'],
    ['has a secret of its own making', () => makeKeyText(acme.id)],
    ['names a tenant that is not there', () => makeKeyText('01890000-0000-7000-8000-000000000000' as TenantId)],
    ['is one with another tenant put into it', () => retarget(world.key(acme), globex.id)],
    ['has a word too many', () => `${world.key(acme)} x`],
    ['is too short by one', () => world.key(acme).slice(0, -1)],
  ])('a key that %s is refused', async (_name, make) => {
    const answer = await whoami({ apikey: make() })
    expect(answer.status).toBe(401)
    expect(answer.json.code).toBe('unauthenticated')
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
  })

  test('two different keys are refused, even of one tenant', async () => {
    const answer = await whoami({ apikey: world.key(acme), ...bearer(world.key(acme)) })
    expect(answer.status).toBe(401)
  })

  test('a scheme other than Bearer is refused, even beside a good key', async () => {
    const answer = await whoami({ apikey: world.key(acme), authorization: 'Basic YTpi' })
    expect(answer.status).toBe(401)
  })

  test('a bad key learns nothing of other tenants', async () => {
    const bad = makeKeyText(acme.id)
    const answers = [
      await whoami({ apikey: bad }, '/t/globex/v1/whoami'),
      await whoami({ apikey: bad }, '/t/nobody/v1/whoami'),
    ]
    for (const answer of answers) expect(answer.json.code).toBe('unauthenticated')
  })

  test('reading needs the scope read, writing the scope write', async () => {
    const reader = world.key(acme, ['read'])
    const writer = world.key(acme, ['write'])
    const status = async (key: string, method: string) =>
      (await gateway.ask('/echo', { apikey: key }, { method })).status
    for (const method of ['GET', 'HEAD']) {
      expect(await status(reader, method)).toBe(200)
      expect(await status(writer, method)).toBe(403)
    }
    for (const method of ['POST', 'PATCH', 'PUT', 'DELETE']) {
      expect(await status(reader, method)).toBe(403)
      expect(await status(writer, method)).toBe(200)
    }
  })
})

describe('where the tenant is', () => {
  test('a tenant of another region is sent there, before its key is verified', async () => {
    const stark = world.tenant('stark', { region: 'eu' })
    for (const key of [world.key(stark), makeKeyText(stark.id)]) {
      const answer = await whoami({ apikey: key }, '/t/stark/v1/whoami')
      expect(answer.status).toBe(421)
      expect(answer.json).toMatchObject({ code: 'misdirected_region', region_url: 'http://eu.example.com' })
    }
  })

  test('away from home a mismatch says nothing of whether the other tenant exists', async () => {
    const key = world.key(world.tenant('umbrella', { region: 'eu' }))
    for (const path of ['/t/acme/v1/whoami', '/t/nobody/v1/whoami']) {
      expect((await whoami({ apikey: key }, path)).json.code).toBe('tenant_mismatch')
    }
  })

  test.each([
    ['suspended', 403, 'tenant_suspended'],
    ['offboarded', 410, 'tenant_gone'],
    ['provisioning', 503, 'tenant_moving'],
  ] as const)('a tenant that is %s is told so by %i', async (status, http, code) => {
    const answer = await whoami({ apikey: world.key(world.tenant(`t-${status}`, { status })) })
    expect(answer.status).toBe(http)
    expect(answer.json.code).toBe(code)
  })

  test('what is asked of a tenant of another region is not noted here, also where its token is refused', async () => {
    const pinned = world.tenant('pinned', { region: 'eu' })
    const key = { apikey: world.key(pinned) }
    const expired = bearer(await issuer.sign({ tenant: 'pinned' }, { expiresIn: 1 }))
    const others = bearer(await issuer.sign({ tenant: 'acme' }))
    gateway.logs.length = 0
    for (const [headers, status] of [
      [key, 421],
      [expired, 401],
      [{ ...key, ...expired }, 401],
      [{ ...key, ...bearer('not.a.token') }, 401],
      [{ ...key, ...others }, 403],
    ] as const) {
      expect((await whoami(headers, '/patients/jones?diagnosis=eq.flu')).status).toBe(status)
    }
    await expect.poll(() => gateway.logs.length).toBe(5)
    expect(JSON.stringify(gateway.logs)).not.toMatch(/jones|diagnosis/)
  })

  test('that a tenant is suspended is told to nobody without its key', async () => {
    const tenant = world.tenant('quiet', { status: 'suspended' })
    expect((await whoami({ apikey: makeKeyText(tenant.id) })).status).toBe(401)
  })
})

describe('JSON Web Tokens', () => {
  test('a token names the tenant by slug or id, and its user', async () => {
    for (const tenant of ['acme', acme.id]) {
      const token = await issuer.sign({ sub: 'u1', tenant, roles: ['agent', 'lead'] })
      const answer = await whoami(bearer(token))
      expect(answer.json).toMatchObject({
        tenant: { slug: 'acme' },
        credential: { kind: 'jwt', key_id: null, scopes: ['read', 'write'] },
        user: { sub: 'u1', role: 'agent', roles: ['agent', 'lead'] },
      })
    }
  })

  test('a token as apikey header is as good', async () => {
    const token = await issuer.sign({ tenant: 'acme' })
    expect((await whoami({ apikey: token })).status).toBe(200)
    expect((await whoami({ apikey: token, ...bearer(token) })).status).toBe(200)
  })

  test('a token of one tenant is a mismatch at the path of another', async () => {
    const token = await issuer.sign({ tenant: 'acme' })
    expect((await whoami(bearer(token), '/t/globex/v1/whoami')).json.code).toBe('tenant_mismatch')
  })

  test('a token that names nobody, or no tenant, is refused', async () => {
    expect((await whoami(bearer(await issuer.sign({ tenant: 'nobody' })))).json.code).toBe('tenant_not_found')
    expect((await whoami(bearer(await issuer.sign({ sub: 'u1' })))).status).toBe(401)
    expect((await whoami(bearer(await issuer.sign({ tenant: ['acme'] })))).status).toBe(401)
  })

  test('a token with a scope claim may do what it lists, and no more', async () => {
    const status = async (scope: unknown, method: string) =>
      (await gateway.ask('/echo', bearer(await issuer.sign({ tenant: 'acme', scope })), { method })).status
    expect(await status('openid read', 'GET')).toBe(200)
    expect(await status('openid read', 'POST')).toBe(403)
    expect(await status(['write'], 'POST')).toBe(200)
    expect(await status('openid', 'GET')).toBe(403)
    expect(await status('', 'GET')).toBe(403)
  })

  test('claims are found by a dotted path, and by a name that has dots', async () => {
    const nested = { ...jwtOf(issuer), tenantClaim: 'app.tenant', rolesClaim: 'https://x.test/roles' }
    const other = await startGateway({ world, config: { jwt: [nested] } })
    const token = await issuer.sign({ app: { tenant: 'acme' }, 'https://x.test/roles': 'a b' })
    const answer = await other.ask('/v1/whoami', bearer(token))
    expect(answer.json).toMatchObject({ tenant: { slug: 'acme' }, user: { roles: ['a', 'b'] } })
    const hostile = await issuer.sign({ app: '__proto__', tenant: 'acme' })
    expect((await other.ask('/v1/whoami', bearer(hostile))).status).toBe(401)
    await other.close()
  })
})

describe('an API key with a user token', () => {
  test('the key names the tenant, the token the user, and both limit what may be done', async () => {
    const key = world.key(acme, ['read', 'write'])
    const token = await issuer.sign({ sub: 'u1', tenant: 'acme', scope: 'read' })
    const answer = await whoami({ apikey: key, ...bearer(token) })
    expect(answer.json.credential).toMatchObject({ kind: 'api_key', scopes: ['read'] })
    expect(answer.json.user.sub).toBe('u1')
    const write = await gateway.ask('/echo', { apikey: key, ...bearer(token) }, { method: 'POST' })
    expect(write.status).toBe(403)
  })

  test('of two tenants is a mismatch', async () => {
    const answer = await whoami({ apikey: world.key(acme), ...bearer(await issuer.sign({ tenant: 'globex' })) })
    expect(answer.json.code).toBe('tenant_mismatch')
  })

  test('either of them bad is refused', async () => {
    const good = await issuer.sign({ tenant: 'acme' })
    const expired = await issuer.sign({ tenant: 'acme' }, { expiresIn: 1 })
    expect((await whoami({ apikey: world.key(acme), ...bearer(expired) })).status).toBe(401)
    expect((await whoami({ apikey: makeKeyText(acme.id), ...bearer(good) })).status).toBe(401)
  })
})

/** The same secret under another tenant's name. */
function retarget(key: string, id: TenantId): string {
  return key.replace(/^ink_[0-9a-f]{32}_/, `ink_${id.replaceAll('-', '')}_`)
}
