import { afterAll, beforeAll, expect, test } from 'vitest'
import { operations } from '../../gateway/admin/openapi/operations.ts'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let admin: TestAdmin
beforeAll(async () => {
  system = await startTestSystem({ tenants: [{ slug: 'acme', tier: 'free', region: 'us' }] })
  admin = await startTestAdmin(system)
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

test('nothing under /admin is answered without the right token', async () => {
  for (const authorization of [
    '',
    'Bearer',
    'Bearer wrong',
    `Basic ${admin.token}`,
    `Bearer ${admin.token} x`,
    `Bearer ${admin.token}x`,
  ]) {
    for (const { method, path } of operations) {
      const answer = await admin.call(method.toUpperCase(), path.replace('{slug}', 'acme'), undefined, {
        authorization,
      })
      expect(answer, `${authorization} ${path}`).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
    }
  }
  // Also what is not there: an outsider learns nothing of the paths.
  expect((await admin.call('GET', '/admin/v1/nothing', undefined, { authorization: '' })).status).toBe(401)
  expect((await admin.call('GET', '/admin/v1/nothing')).body).toMatchObject({ status: 404, code: 'not_found' })
})

test('a name that nobody gave the API is refused, whatever the token', async () => {
  const status = async (host: string, path = '/admin/v1/tenants') =>
    (await admin.call('GET', path, undefined, { host })).status
  for (const host of ['localhost:9090', '127.0.0.1:9090', '[::1]:9090', 'admin.localhost', '10.0.0.7']) {
    expect(await status(host), host).toBe(200)
  }
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'notlocalhost']) {
    expect(await status(host), host).toBe(403)
    expect(await status(host, '/metrics'), host).toBe(403)
  }
  expect(await status('a b')).toBe(400)
  const named = await startTestAdmin(system, { allowedHosts: ['control.internal'] })
  expect((await named.call('GET', '/healthz', undefined, { host: 'control.internal:9090' })).status).toBe(200)
  await named.close()
})

test('what an error means is told without a token, and nothing else is', async () => {
  const open = { authorization: '' }
  const { body: problem } = await admin.call('GET', '/admin/v1/tenants', undefined, open)
  const page = await admin.call('GET', problem.type, undefined, open)
  expect(page).toMatchObject({ status: 200, body: { code: 'unauthenticated', status: 401 } })
  expect(page.headers.get('cache-control')).toContain('public')
  expect((await admin.call('GET', '/errors/nothing', undefined, open)).status).toBe(404)
})

test('what no database could hold is a fault of the request, not of ours', async () => {
  const nul = '\u0000'
  const cases = [
    ['GET', '/admin/v1/tenants/%00', undefined, 404],
    ['GET', `/admin/v1/tenants/${'x'.repeat(200)}`, undefined, 404],
    ['GET', '/admin/v1/tenants/%27%20or%201=1--', undefined, 404],
    ['GET', '/admin/v1/tenants?after=%00', undefined, 400],
    ['POST', '/admin/v1/tenants/acme/keys', { name: `a${nul}b` }, 400],
    ['POST', '/admin/v1/tenants/acme/sql', { sql: `select 1${nul}` }, 400],
    ['POST', '/admin/v1/tenants/acme/domains', { domain: `a${nul}.example` }, 400],
    ['DELETE', '/admin/v1/tenants/acme/domains/%00', undefined, 404],
    ['DELETE', '/admin/v1/tenants/acme/keys/%00', undefined, 404],
    ['DELETE', '/admin/v1/operators/%00', undefined, 404],
    ['GET', '/admin/v1/audit?actor=%00', undefined, 400],
    ['GET', '/admin/v1/audit?action=a%00', undefined, 400],
    ['GET', '/admin/v1/audit?tenant=%00', undefined, 404],
    ['GET', '/admin/v1/audit?before=9007199254740993', undefined, 400],
    ['GET', '/admin/v1/moves?tenant=%00', undefined, 404],
    ['GET', '/admin/v1/moves/%00', undefined, 404],
    ['PATCH', '/admin/v1/tenants/acme', { tier: nul }, 400],
    ['PATCH', '/admin/v1/tenants/acme/residency', { profile: nul, reason: nul }, 400],
    ['PATCH', '/admin/v1/tenants/acme', { away: 'reject', reason: `a${nul}b` }, 200],
  ] as const
  for (const [method, path, body, status] of cases) {
    expect.soft((await admin.call(method, path, body)).status, `${method} ${path}`).toBe(status)
  }
})

test('no page of another origin is let in', async () => {
  const preflight = await admin.call('OPTIONS', '/admin/v1/tenants', undefined, {
    origin: 'https://evil.example',
    'access-control-request-method': 'POST',
  })
  const simple = await admin.call('GET', '/admin/v1/tenants', undefined, { origin: 'https://evil.example' })
  for (const { headers } of [preflight, simple]) {
    expect([...headers.keys()].filter((h) => h.startsWith('access-control-'))).toEqual([])
  }
})

test('a body over 1 MB is refused, declared or not', async () => {
  const body = JSON.stringify({ slug: 'x', region: 'us', reason: 'r'.repeat(1024 * 1024) })
  expect((await admin.call('POST', '/admin/v1/tenants', body)).body).toMatchObject({
    status: 413,
    code: 'payload_too_large',
  })
  const url = await admin.listen()
  const stream = new ReadableStream({
    pull(out) {
      out.enqueue(new TextEncoder().encode(' '.repeat(64 * 1024)))
    },
  })
  const answer = await fetch(`${url}/admin/v1/tenants`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin.token}` },
    body: stream,
    duplex: 'half',
  } as RequestInit).then(
    (r) => r.status,
    // The connection may be cut while the client still sends.
    () => 413,
  )
  expect(answer).toBe(413)
})

test('health is open; metrics are open to this machine only', async () => {
  const open = { authorization: '' }
  expect((await admin.call('GET', '/healthz', undefined, open)).status).toBe(200)
  expect((await admin.call('GET', '/readyz', undefined, open)).body).toMatchObject({ status: 'ready' })
  expect((await admin.call('GET', '/metrics', undefined, open)).status).toBe(200)
  const public_ = await startTestAdmin(system, { host: '0.0.0.0', metricsText: async () => 'up 1\n' })
  expect((await public_.call('GET', '/metrics', undefined, open)).status).toBe(401)
  expect(await public_.call('GET', '/metrics')).toMatchObject({ status: 200, body: 'up 1\n' })
  expect((await public_.call('GET', '/readyz', undefined, open)).status).toBe(200)
  const url = await public_.listen()
  const local = (headers: Record<string, string> = {}) => fetch(`${url}/metrics`, { headers }).then((r) => r.status)
  expect(await local()).toBe(200)
  expect(await local({ 'x-forwarded-for': '203.0.113.7' })).toBe(401)
  await public_.close()
})

test('the OpenAPI document names what is there, and all of it', async () => {
  const { body } = await admin.call('GET', '/admin/v1/openapi.json')
  expect(body.openapi).toBe('3.1.0')
  const described = Object.entries<object>(body.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const served = admin.app.routes
    .filter((r) => r.method !== 'ALL' && r.path.startsWith('/admin/'))
    .map((r) => `${r.method} ${r.path.replaceAll(/:(\w+)/g, '{$1}')}`)
  expect(described.sort()).toEqual([...new Set(served)].sort())
  // Every reference leads somewhere.
  for (const [, name] of JSON.stringify(body).matchAll(/#\/components\/schemas\/(\w+)/g)) {
    expect(body.components.schemas).toHaveProperty(name!)
  }
})
