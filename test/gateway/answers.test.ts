import { type IncomingMessage, request } from 'node:http'
import { sql as raw } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { defineRoutes } from '../../config/app-env.ts'
import type { ConfigInput } from '../../config/index.ts'
import * as schema from '../../config/schema.ts'
import { waitUntil } from '../support/wait.ts'
import { SECRETS, startWorld, type TestGateway, type World } from './support.ts'

/** Two of them are within what a tenant may have in memory, three are not. */
const ANSWER_BYTES = 48_000_000
const REST = '/rest/v1/tags?select=color&name=eq.large'
const IN_TRANSACTION = '/v1/in-transaction'
const PAGES = 4
const TENANTS = ['hooli', 'globex'] as const

const routes = defineRoutes(schema)
const large = raw.raw(`select color from "{room}".tags where name = 'large'`)
routes.get('/v1/large', async (c) => c.json(await c.var.db.execute(large)))
routes.get('/v1/pages', async (c) => {
  let bytes = 0
  for (let page = 0; page < PAGES; page++) bytes += JSON.stringify(await c.var.db.execute(large)).length
  return c.json({ bytes })
})
routes.get(IN_TRANSACTION, async (c) => c.json(await c.var.db.transaction((db) => db.execute(large))))

/** Large answers take a while on a busy machine. */
const patient = (input: ConfigInput): ConfigInput => {
  const change = (tier: ConfigInput['tiers'][string]) => ({
    ...tier,
    limits: { ...tier.limits, statementTimeoutMs: 30_000 },
  })
  return { ...input, tiers: Object.fromEntries(Object.entries(input.tiers).map(([name, t]) => [name, change(t)])) }
}

let world: World
let gateway: TestGateway
beforeAll(async () => {
  world = await startWorld({
    tenants: TENANTS.map((slug) => ({ slug, tier: 'pro', region: 'us' })),
    configure: patient,
  })
  gateway = await world.gateway('us', { routes: routes as never })
  const tenants = await world.system.openTenants('us')
  const text = `insert into "{room}".tags (name, color) values ('large', repeat('x', ${ANSWER_BYTES}))`
  for (const slug of TENANTS) await tenants.session(slug).execute({ text, params: [] })
})
afterAll(() => world?.close())

const held: IncomingMessage[] = []
const leave = () => {
  for (const one of held.splice(0)) one.destroy()
}
afterEach(leave)

/** @returns the head of the answer; the gateway has what else there is of it */
function open(path: string, { as = 'hooli', method = 'GET', body = '', headers = {} } = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = { apikey: world.system.keyOf(as), ...headers }
    request({ host: '127.0.0.1', port: gateway.port, path, method, headers: sent, agent: false }, resolve)
      .on('error', reject)
      .end(body)
  })
}

async function doNotRead(path: string): Promise<void> {
  const answer = await open(path)
  held.push(answer.pause().on('error', () => {}))
  expect(answer.statusCode).toBe(200)
}

async function read(path: string, options: Parameters<typeof open>[1] = {}) {
  const answer = await open(path, options)
  let bytes = 0
  let start = ''
  for await (const chunk of answer) {
    if (bytes === 0) start = String(chunk)
    bytes += chunk.length
  }
  const { code } = answer.statusCode === 200 ? {} : JSON.parse(start)
  return { status: answer.statusCode, code, retryAfter: answer.headers['retry-after'], bytes, start }
}

test('clients that do not read cost their tenant its large answers, and nobody anything else', async () => {
  const paths = [REST, IN_TRANSACTION]
  for (let i = 0; i < 2; i++) await doNotRead(REST)
  for (const path of paths) {
    const refused = await read(path)
    expect(refused).toMatchObject({ status: 429, code: 'rate_limited', retryAfter: '1' })
    expect(refused.start).not.toMatch(SECRETS)
  }
  expect(await read('/rest/v1/tags?select=name')).toMatchObject({ status: 200 })
  const other = await read(REST, { as: 'globex' })
  expect(other.status).toBe(200)
  expect(other.bytes).toBeGreaterThan(ANSWER_BYTES)
  leave()
  await waitUntil('a large answer to pass again', async () => (await read(REST)).status === 200)
  // What was read is held no longer.
  for (const path of paths) expect((await read(path)).status).toBe(200)
})

test('what may have changed something is refused in a way that no client repeats by itself', async () => {
  for (let i = 0; i < 2; i++) await doNotRead(REST)
  const change = {
    method: 'PATCH',
    headers: { prefer: 'return=representation', 'content-type': 'application/json' },
    body: '{"name":"large"}',
  }
  for (const answer of [await read('/v1/large'), await read(REST, change)]) {
    expect(answer).toMatchObject({ status: 413, code: 'payload_too_large', retryAfter: undefined })
    expect(answer.start).toContain('read before you repeat it')
  }
})

test('an endpoint of the application’s own may go through more than is held at a time', async () => {
  const { status, start } = await read('/v1/pages')
  expect(status).toBe(200)
  expect(JSON.parse(start).bytes).toBeGreaterThan(PAGES * ANSWER_BYTES)
})
