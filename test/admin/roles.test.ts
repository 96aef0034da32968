import { afterAll, beforeAll, expect, test } from 'vitest'
import { operations } from '../../gateway/admin/openapi/operations.ts'
import { may, ROLES, type Role } from '../../tiers/operators/roles.ts'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { runCli } from '../support/cli.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let admin: TestAdmin
const tokens = new Map<Role, string>()
beforeAll(async () => {
  system = await startTestSystem()
  admin = await startTestAdmin(system)
  for (const role of ROLES) {
    const { body } = await admin.call('POST', '/admin/v1/operators', { name: `the-${role}`, role })
    tokens.set(role, body.token)
  }
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

const as = (token: string) => ({ authorization: `Bearer ${token}` })
const call = (role: Role, method: string, path: string, body?: unknown) =>
  admin.call(method, path, body, as(tokens.get(role)!))
const TENANTS = '/admin/v1/tenants'

test('every endpoint of the API is in the list of operations, which says what right it asks for', () => {
  const listed = new Set(operations.map((o) => `${o.method.toUpperCase()} ${o.path.replaceAll(/\{(\w+)\}/g, ':$1')}`))
  const routes = admin.app.routes.filter((r) => r.path.startsWith('/admin/v1') && r.method !== 'ALL')
  expect(routes.length).toBeGreaterThan(20)
  expect(routes.map((r) => `${r.method} ${r.path}`).filter((r) => !listed.has(r))).toEqual([])
  expect(listed.size).toBe(new Set(routes.map((r) => `${r.method} ${r.path}`)).size)
})

test('each role may do what the table says, and nothing else', async () => {
  // Nothing of that name is there, and bodies are empty: whoever is let in gets another answer than 403.
  for (const role of ROLES) {
    for (const { method, path, right } of operations) {
      const { status, body } = await call(
        role,
        method.toUpperCase(),
        path.replaceAll(/\{\w+\}/g, 'nobody'),
        method === 'get' ? undefined : {},
      )
      const isLet = body?.code !== 'forbidden'
      expect([role, method, path, isLet], String(status)).toEqual([role, method, path, may(role, right)])
    }
  }
}, 60_000)

test('sales may change a tier and not the residency, compliance the other way round', async () => {
  const residency = { pinned: ['us'], reason: 'contract' }
  expect((await call('sales', 'PATCH', `${TENANTS}/acme/residency`, residency)).status).toBe(403)
  expect((await call('compliance', 'PATCH', `${TENANTS}/acme/residency`, residency)).body).toMatchObject({
    pinned: ['us'],
  })
  expect((await call('compliance', 'PATCH', `${TENANTS}/acme/residency`, { pinned: null })).body).toMatchObject({
    status: 400,
    field: 'reason',
  })
  // One right that is missing stops the whole change.
  const before = (await call('viewer', 'GET', `${TENANTS}/acme`)).body
  expect((await call('sales', 'PATCH', `${TENANTS}/acme`, { tier: 'free', status: 'suspended' })).status).toBe(403)
  expect((await call('compliance', 'PATCH', `${TENANTS}/acme`, { status: 'suspended' })).status).toBe(403)
  expect((await call('support', 'PATCH', `${TENANTS}/acme`, { away: 'reject' })).status).toBe(403)
  expect((await call('viewer', 'GET', `${TENANTS}/acme`)).body).toEqual(before)
})

test('what is not in the list is shut to everybody but admins', async () => {
  expect((await call('compliance', 'GET', '/admin/v1/forgotten')).status).toBe(403)
  expect((await call('admin', 'GET', '/admin/v1/forgotten')).status).toBe(404)
})

test('the audit log names the operator and the role, and what was refused to them', async () => {
  const { entries } = (await call('compliance', 'GET', '/admin/v1/audit?actor=the-sales&limit=500')).body
  expect(entries).toContainEqual(
    expect.objectContaining({
      role: 'sales',
      action: 'refused',
      details: expect.objectContaining({ path: `${TENANTS}/acme/residency`, code: 'forbidden' }),
    }),
  )
  const changes = (await call('compliance', 'GET', '/admin/v1/audit?action=tenant.residency')).body.entries
  expect(changes[0]).toMatchObject({
    actor: 'the-compliance',
    role: 'compliance',
    reason: 'contract',
    after: { pinned: ['us'] },
  })
})

test('a token is shown once, is kept as a hash, and is refused when it is revoked or has expired', async () => {
  const env = { INNKEEPER_ADMIN_URL: await admin.listen(), INNKEEPER_ADMIN_TOKEN: admin.token }
  const run = (args: string, more: Record<string, string> = {}) => runCli(args.split(' '), { env: { ...env, ...more } })
  const made = await run('operators create maria --role compliance --days 3 --reason hired')
  expect(made.out).toMatch(/^inkop_[\w-]{43}\n$/)
  const token = made.out.trim()
  expect((await run('operators create maria --role admin')).code).toBe(4)
  expect((await run('operators create program --role admin')).code).toBe(4)
  expect((await run('operators create x --role king')).code).toBe(2)
  const listed = await run('operators list --json')
  expect(listed.out).not.toContain(token)
  expect(JSON.parse(listed.out)).toContainEqual(expect.objectContaining({ name: 'maria', status: 'active' }))
  const hers = { INNKEEPER_ADMIN_TOKEN: token }
  expect((await run('audit list --limit 1', hers)).out).toContain('operator.create')
  expect((await run('tenants suspend acme', hers)).code).toBe(4)
  expect((await run('operators revoke maria --reason left')).code).toBe(0)
  expect((await run('audit list', hers)).code).toBe(6)
  expect((await run('operators revoke maria')).code).toBe(3)
  const soon = { name: 'brief', role: 'viewer', expiresAt: new Date(Date.now() + 1_500).toISOString() }
  const brief = (await admin.call('POST', '/admin/v1/operators', soon)).body.token
  const status = async () => (await admin.call('GET', TENANTS, undefined, as(brief))).status
  expect(await status()).toBe(200)
  await expect.poll(status, { timeout: 5_000 }).toBe(401)
  expect(JSON.stringify(admin.lines)).not.toContain('inkop_')
})
