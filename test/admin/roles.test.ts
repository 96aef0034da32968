import postgres from 'postgres'
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

test('looking through every room of the fleet is not for everyone who may read', async () => {
  const statuses = await Promise.all(
    ROLES.map(async (role) => [role, (await call(role, 'GET', '/admin/v1/doctor?residency=true')).status]),
  )
  expect(statuses).toEqual(ROLES.map((role) => [role, may(role, 'residency.report') ? 200 : 403]))
})

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
  const made = await runCli('operators create maria --role compliance --days 3'.split(' '), { env })
  expect(made.out).toMatch(/^inkop_[\w-]{43}\n$/)
  const token = made.out.trim()
  const path = '/admin/v1/operators'
  for (const [name, role, status] of [
    ['maria', 'admin', 409],
    ['program', 'admin', 409],
    ['x', 'king', 400],
  ] as const) {
    expect((await admin.call('POST', path, { name, role })).status, name).toBe(status)
  }
  const listed = await admin.call('GET', path)
  expect(JSON.stringify(listed.body)).not.toContain(token)
  expect(listed.body.operators).toContainEqual(expect.objectContaining({ name: 'maria', status: 'active' }))
  const status = async () => (await admin.call('GET', '/admin/v1/audit?limit=1', undefined, as(token))).status
  expect(await status()).toBe(200)
  const sql = postgres(system.env.INNKEEPER_CONTROL_URL!, { max: 1 })
  const [kept] = await sql<{ text: string }[]>`select string_agg(o::text, '') as text from operators o`
  expect(kept!.text).not.toContain(token.slice(-43))
  await sql`update operators set expires_at = now() - interval '1 second' where name = 'maria'`
  expect(await status()).toBe(401)
  await sql`update operators set expires_at = null where name = 'maria'`
  expect(await status()).toBe(200)
  await sql.end()
  expect((await admin.call('DELETE', `${path}/maria`, { reason: 'left' })).body.status).toBe('revoked')
  expect(await status()).toBe(401)
  expect((await admin.call('DELETE', `${path}/maria`)).status).toBe(404)
  expect((await runCli(['audit', 'list'], { env: { ...env, INNKEEPER_ADMIN_TOKEN: token } })).code).toBe(6)
  expect(JSON.stringify(admin.lines)).not.toContain('inkop_')
})
