import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLogs } from '../../gateway/telemetry/logs.ts'
import { makeKeyText } from '../../tiers/keys/text.ts'
import { startGateway, type TestGateway } from '../edge/support/gateway.ts'
import { World } from '../edge/support/world.ts'

const world = new World()
const acme = world.tenant('acme')
const key = world.key(acme)
let gateway: TestGateway

beforeAll(async () => {
  gateway = await startGateway({ world })
})
afterAll(() => gateway.close())

async function lineOf(path: string, headers: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const before = gateway.logs.length
  await gateway.ask(path, headers)
  await expect.poll(() => gateway.logs.length).toBeGreaterThan(before)
  return gateway.logs.at(-1)!
}

test('one line for each request, with its tenant, trace and outcome', async () => {
  expect(await lineOf('/t/acme/echo?select=id&email=eq.ann@example.com', { apikey: key })).toMatchObject({
    msg: 'request',
    level: 'info',
    service: 'test',
    region: 'us',
    tenant_id: acme.id,
    tenant_slug: 'acme',
    tenant_tier: 'free',
    tenant_region: 'us',
    method: 'GET',
    path: '/echo',
    status: 200,
    client_ip: '127.0.0.1',
    trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
    request_id: expect.any(String),
  })
})

test('an error is named by its code and its owner', async () => {
  expect(await lineOf('/t/nobody/v1/whoami', { apikey: key })).toMatchObject({
    status: 404,
    error: 'tenant_not_found',
    owner: 'client',
  })
})

test('a refusal names the tenant too, once its credential is proven', async () => {
  const suspended = world.tenant('late-payer', { status: 'suspended' })
  expect(await lineOf('/v1/whoami', { apikey: world.key(suspended) })).toMatchObject({
    error: 'tenant_suspended',
    tenant_slug: 'late-payer',
  })
  expect(await lineOf('/v1/whoami', { apikey: makeKeyText(acme.id) })).not.toHaveProperty('tenant_slug')
})

test('the query is logged by its names: what is looked for is not ours to keep', async () => {
  const line = await lineOf('/echo?email=eq.ann@example.com&select=id&email=neq.bob', { apikey: key })
  expect(line.query).toBe('email,select')
  expect(JSON.stringify(gateway.logs)).not.toContain('ann@example.com')
})

test('no credential is ever logged', async () => {
  await lineOf('/v1/whoami', { apikey: key, authorization: `Bearer ${key}`, cookie: 'session=abcdef' })
  await lineOf('/v1/whoami', { apikey: `${key}x` })
  await lineOf('/boom', { apikey: key })
  const all = JSON.stringify(gateway.logs)
  expect(all).not.toContain(key.slice(-43))
  expect(all).not.toContain('abcdef')
})

test('a field that is called like a secret is blotted out, wherever it stands', () => {
  const lines: string[] = []
  const { log } = createLogs('info', {}, { write: (line: string) => lines.push(line) })
  log.info(
    { authorization: 'a-secret', headers: { apikey: 'b-secret' }, req: { headers: { cookie: 'c-secret' } } },
    'x',
  )
  expect(lines.join()).not.toMatch(/[abc]-secret/)
})

test('a level of warn leaves out what went well', async () => {
  const quiet = await startGateway({ world, config: { telemetry: { logLevel: 'warn' } } })
  await quiet.ask('/v1/whoami', { apikey: key })
  await quiet.ask('/boom', { apikey: key })
  await expect.poll(() => quiet.logs.map((l) => l.level)).toEqual(['error', 'warn'])
  await quiet.close()
})
