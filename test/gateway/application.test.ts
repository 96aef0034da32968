import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { eq, sql as raw } from 'drizzle-orm'
import postgres from 'postgres'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { defineRoutes } from '../../config/app-env.ts'
import demo from '../../config/routes.ts'
import * as schema from '../../config/schema.ts'
import { type Issuer, startIssuer } from '../edge/support/issuer.ts'
import { BUSY } from '../support/busy.ts'
import { US_TENANTS } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'
import { SECRETS, startWorld, supabase, type TestGateway, type World } from './support.ts'

const SLUGS = US_TENANTS.map((t) => t.slug)
const STATEMENT_TIMEOUT_MS = 3_000
const DRAIN_MS = 500

/** The demo's endpoints, and some that a product might have. */
const routes = defineRoutes(schema)
routes.route('/', demo)
routes.get('/v1/sleep/:seconds', async (c) => {
  const { rows } = (await c.var.db.execute(raw`select pg_sleep(${Number(c.req.param('seconds'))})`)) as {
    rows: unknown[]
  }
  return c.json({ rows: rows.length })
})
routes.get('/v1/sleep-in-transaction', async (c) => {
  await c.var.db.transaction((db) => db.execute(raw`select pg_sleep(30)`))
  return c.json({})
})
routes.get('/v1/claims', async (c) => {
  const query = raw`select tenancy.claims()::text as authenticated, current_setting('request.jwt.claims', true) as setting`
  const { rows } = (await c.var.db.execute(query)) as { rows: { authenticated: string; setting: string }[] }
  const { authenticated, setting } = rows[0]!
  return c.json({
    user: c.var.user,
    authenticated: authenticated && JSON.parse(authenticated),
    setting: setting && JSON.parse(setting),
  })
})
routes.post('/v1/broken', async (c) => {
  await c.var.db.insert(schema.tags).values({ name: 'kept?' })
  throw new Error(`boom in ${c.var.tenant.slug} at postgres://secret`)
})
routes.post('/v1/half', async (c) => {
  await c.var.db.transaction(async (db) => {
    await db.insert(schema.tags).values({ name: 'half' })
    throw new Error('second thoughts')
  })
  return c.json({})
})
routes.get('/v1/who-else', async (c) => {
  const rows = await c.var.db.select().from(schema.customers).where(eq(schema.customers.id, 1))
  return c.json(rows)
})

let world: World
let gateway: TestGateway
let issuer: Issuer
let admin: postgres.Sql
beforeAll(async () => {
  issuer = await startIssuer()
  world = await startWorld({
    configure: (input) => ({
      ...input,
      jwt: [{ issuer: issuer.issuer, audience: 'innkeeper', jwksUrl: issuer.jwksUrl, algorithms: ['ES256'] }],
      http: { drainMs: DRAIN_MS },
      tiers: Object.fromEntries(
        Object.entries(input.tiers).map(([name, tier]) => [
          name,
          { ...tier, limits: { ...tier.limits, statementTimeoutMs: STATEMENT_TIMEOUT_MS } },
        ]),
      ),
    }),
  })
  gateway = await world.gateway('us', { routes: routes as never })
  admin = postgres(world.system.servers.get('us')!.server.url(), { max: 1, onnotice: () => {} })
  for (const slug of SLUGS) {
    const client = supabase(world, gateway, slug)
    await client.from('customers').insert({ id: 1, name: slug, email: 'a@example.com' })
  }
})
afterAll(async () => {
  await admin?.end()
  await world?.close()
  await issuer?.close()
})

/** Runs statements in a tenant's room as its owner, past all that protects it. */
async function asOwner<T>(slug: string, work: (sql: postgres.Sql, room: string) => Promise<T>): Promise<T> {
  const { placement } = await world.system.control.tenant(slug)
  const sql = postgres(world.system.servers.get('us')!.server.url(placement!.database), { max: 1, onnotice: () => {} })
  try {
    return await work(sql, `"${placement!.schema}"`)
  } finally {
    await sql.end()
  }
}

/** Statements of tenants that run now, on whatever database. */
const running = () => admin<{ pid: number; query: string }[]>`
  select pid, query from pg_stat_activity
  where usename = 'innkeeper_app' and state <> 'idle' and datname <> 'innkeeper_region'`

/** Sends a request and goes away when its statement runs. @returns the process that ran it */
async function abandon(slug: string, path: string): Promise<number> {
  const socket = connect(gateway.port, '127.0.0.1')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\napikey: ${world.system.keyOf(slug)}\r\n\r\n`)
  let pid = 0
  await waitUntil('the statement to run', async () => {
    pid = (await running())[0]?.pid ?? 0
    return pid !== 0
  })
  socket.destroy()
  return pid
}

const backendIsGone = (pid: number) => async () => {
  const found = await admin`select from pg_stat_activity where pid = ${pid} and state <> 'idle'`
  return found.length === 0
}

describe.each(SLUGS)('for %s', (slug) => {
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    gateway.ask(path, { as: slug, method, headers })
  let ticket: number
  beforeEach(async () => {
    const { data } = await supabase(world, gateway, slug)
      .from('tickets')
      .insert({ customer_id: 1, subject: 's' })
      .select()
      .single()
    ticket = data.id
  })
  const state = async () => {
    const client = supabase(world, gateway, slug)
    const { data } = await client.from('tickets').select('status,resolved_at,comments(body)').eq('id', ticket).single()
    return data
  }

  test('resolving a ticket changes it and says so, once', async () => {
    const first = await ask(`/v1/tickets/${ticket}/resolve`, {}, 'POST')
    expect([first.status, first.json]).toMatchObject([200, { id: ticket, status: 'resolved' }])
    expect(first.text).not.toMatch(SECRETS)
    expect((await ask(`/v1/tickets/${ticket}/resolve`, {}, 'POST')).status).toBe(200)
    expect(await state()).toMatchObject({ status: 'resolved', comments: [{ body: 'Resolved by the help desk.' }] })
  })

  test('where the second statement fails, the first one did not happen', async () => {
    await asOwner(slug, (sql, room) =>
      sql.unsafe(`alter table ${room}.comments add constraint no_comment check (body not like 'Resolved%') not valid`),
    )
    const answer = await ask(`/v1/tickets/${ticket}/resolve`, {}, 'POST')
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.text).not.toMatch(SECRETS)
    expect(answer.text).not.toContain('no_comment')
    expect(await state()).toEqual({ status: 'open', resolved_at: null, comments: [] })
    await asOwner(slug, (sql, room) => sql.unsafe(`alter table ${room}.comments drop constraint no_comment`))
    expect((await ask(`/v1/tickets/${ticket}/resolve`, {}, 'POST')).status).toBe(200)
  })

  test('a user’s token reaches the application, and SQL, authenticated', async () => {
    const token = await issuer.sign({
      sub: 'user-7',
      tenant: slug,
      roles: ['agent'],
      scope: 'read write',
      team: { id: 3 },
    })
    const bearer = { authorization: `Bearer ${token}` }
    for (const headers of [bearer, { ...bearer, apikey: world.system.keyOf(slug) }]) {
      const { status, json } = await gateway.ask('/v1/claims', { headers })
      expect(status).toBe(200)
      for (const claims of [json.user, json.authenticated, json.setting]) {
        expect(claims).toMatchObject({ sub: 'user-7', role: 'agent', team: { id: 3 } })
      }
    }
    await gateway.ask(`/v1/tickets/${ticket}/resolve`, { method: 'POST', headers: bearer })
    expect(await state()).toMatchObject({ comments: [{ body: 'Resolved by user-7.' }] })
    // Without a user there are no claims, not those of the request before on the same connection.
    for (let n = 0; n < 5; n++) {
      const { json } = await ask('/v1/claims')
      expect([json.user, json.authenticated || null, json.setting || null]).toEqual([null, null, null])
    }
    const other = await issuer.sign({ sub: 'x', tenant: SLUGS.find((s) => s !== slug), scope: 'read' })
    expect(
      (
        await gateway.ask('/v1/claims', {
          headers: { authorization: `Bearer ${other}`, apikey: world.system.keyOf(slug) },
        })
      ).status,
    ).toBe(403)
  })

  test('an endpoint that fails says nothing of it to the client, and what it did in a transaction is undone', async () => {
    for (const path of ['/v1/broken', '/v1/half']) {
      const answer = await ask(path, {}, 'POST')
      expect([path, answer.status, answer.json.code]).toEqual([path, 500, 'internal'])
      expect(answer.text).not.toMatch(SECRETS)
      expect(answer.text).not.toMatch(/boom|secret|second thoughts/)
    }
    const { data } = await supabase(world, gateway, slug).from('tags').select('name')
    expect(data).toEqual([{ name: 'kept?' }])
    await supabase(world, gateway, slug).from('tags').delete().gte('id', 0)
  })

  test('a statement that takes longer than the tier allows is 504, in an endpoint and in the data API', async () => {
    const startedAt = performance.now()
    await asOwner(slug, (sql, room) =>
      sql.begin(async (tx) => {
        await tx.unsafe(`lock table ${room}.tags in access exclusive mode`)
        const paths = ['/v1/sleep/30', '/v1/sleep-in-transaction', '/rest/v1/tags']
        const answers = await Promise.all(paths.map((path) => ask(path)))
        const expected = paths.map((path) => [path, 504, 'statement_timeout'])
        expect(answers.map(({ status, json }, n) => [paths[n], status, json.code])).toEqual(expected)
      }),
    )
    expect(performance.now() - startedAt).toBeLessThan((STATEMENT_TIMEOUT_MS + 2_500) * BUSY)
    expect((await ask('/v1/sleep/0')).status).toBe(200)
  })

  test.runIf(slug === 'acme')(
    'an answer that nobody could hold in memory is 413, and the gateway goes on',
    async () => {
      await asOwner(slug, (sql, room) =>
        sql.begin(async (tx) => {
          await tx.unsafe(`alter table ${room}.tickets no force row level security`)
          await tx.unsafe(
            `update ${room}.tickets set body = repeat('x', 150000000) where id = ${ticket} and subject = 's'`,
          )
          await tx.unsafe(`alter table ${room}.tickets force row level security`)
        }),
      )
      const answer = await ask(`/rest/v1/tickets?id=eq.${ticket}`)
      expect([answer.status, answer.json.code]).toEqual([413, 'payload_too_large'])
      expect((await ask('/v1/who-else')).json).toMatchObject([{ name: slug }])
      await supabase(world, gateway, slug).from('tickets').delete().eq('id', ticket)
    },
  )

  test('a connection that is lost under a statement is 502, since nobody knows what came of it, and the next is served', async () => {
    const lost = ask('/v1/sleep/1')
    await waitUntil('the statement to run', async () => (await running()).length > 0)
    await admin`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'innkeeper_app' and state <> 'idle'`
    const answer = await lost
    expect([answer.status, answer.json.code]).toEqual([502, 'outcome_unknown'])
    expect(answer.text).not.toMatch(SECRETS)
    expect((await ask('/v1/who-else')).json).toMatchObject([{ name: slug }])
  })

  test('a client that goes away ends its statement, and nobody after it is harmed', async () => {
    for (const path of ['/v1/sleep/30', '/v1/sleep-in-transaction']) {
      const pid = await abandon(slug, path)
      await waitUntil(`${path} to end`, backendIsGone(pid), STATEMENT_TIMEOUT_MS - 300)
    }
    await asOwner(slug, (sql, room) =>
      sql.begin(async (tx) => {
        await tx.unsafe(`lock table ${room}.tags in access exclusive mode`)
        const pid = await abandon(slug, '/rest/v1/tags')
        await waitUntil('the data API’s statement to end', backendIsGone(pid), STATEMENT_TIMEOUT_MS - 300)
      }),
    )
    const after = await Promise.all(Array.from({ length: 20 }, () => ask('/v1/who-else')))
    for (const answer of after) expect(answer.json).toMatchObject([{ id: 1, name: slug }])
  })
})

describe('the edge of it', () => {
  test('whoami, health and readiness', async () => {
    const who = await gateway.ask('/v1/whoami', { as: 'hooli' })
    expect(who.json).toMatchObject({
      tenant: { slug: 'hooli', tier: 'pro', region: 'us', isolation: 'schema' },
      user: null,
    })
    expect(who.text).not.toMatch(SECRETS)
    for (const path of ['/healthz', '/readyz']) expect((await gateway.ask(path)).status).toBe(200)
  })

  test('a request id is given back, is in the problem, and is in the log', async () => {
    const id = 'trace-me-12345'
    const answer = await gateway.ask('/v1/broken', { as: 'acme', method: 'POST', headers: { 'x-request-id': id } })
    expect(answer.headers['x-request-id']).toBe(id)
    expect(answer.json.instance).toBe(`urn:request:${id}`)
    await waitUntil('the log', () =>
      gateway.logs.some((l) => l.request_id === id && JSON.stringify(l).includes('boom')),
    )
    await supabase(world, gateway, 'acme').from('tags').delete().gte('id', 0)
  })

  test('a browser’s preflight for supabase-js is answered with all that it asks for', async () => {
    const asked =
      'accept-profile,apikey,authorization,content-profile,content-type,prefer,range,x-client-info,x-supabase-api-version'
    const answer = await gateway.ask('/t/acme/rest/v1/customers', {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example.com',
        'access-control-request-method': 'POST',
        'access-control-request-headers': asked,
      },
    })
    expect(answer.status).toBe(204)
    const allowed = String(answer.headers['access-control-allow-headers']).toLowerCase().split(/, ?/)
    for (const name of asked.split(',')) expect(allowed).toContain(name)
    expect(answer.headers['access-control-allow-origin']).toBe('*')
  })

  test('a large answer is packed, and the same when it is unpacked', async () => {
    const client = supabase(world, gateway, 'acme')
    await client
      .from('tags')
      .insert(Array.from({ length: 200 }, (_, n) => ({ id: 1_000 + n, name: `tag number ${n}` })))
    const packed = await fetch(`${gateway.url}/rest/v1/tags?order=id`, {
      headers: { apikey: world.system.keyOf('acme') },
    })
    expect(packed.headers.get('content-encoding')).toBe('gzip')
    const plain = await gateway.ask('/rest/v1/tags?order=id', { as: 'acme' })
    expect(plain.headers['content-encoding']).toBeUndefined()
    expect(await packed.json()).toEqual(plain.json)
    await client.from('tags').delete().gte('id', 1_000)
  })
})

describe('a gateway that is told to stop', () => {
  test('finishes what is under way, takes nothing new, and closes its connections', async () => {
    const stopping = await world.gateway('us', { routes: routes as never })
    const agent = new Agent({ keepAlive: true })
    const viaAgent = (path: string) =>
      new Promise<{ status: number; connection: string | undefined }>((resolve, reject) => {
        const headers = { apikey: world.system.keyOf('acme') }
        request({ port: stopping.port, host: '127.0.0.1', path, agent, headers }, (res) => {
          res.resume()
          res.on('end', () => resolve({ status: res.statusCode!, connection: res.headers.connection }))
        })
          .on('error', reject)
          .end()
      })
    expect((await viaAgent('/v1/whoami')).status).toBe(200)
    const idle = Object.values(agent.freeSockets).flat()[0]!
    const slow = stopping.ask('/v1/sleep/0.3', { as: 'acme' })
    await waitUntil('the statement to run', async () => (await running()).length > 0)
    const startedAt = performance.now()
    const closing = stopping.close()
    await expect(stopping.ask('/v1/whoami', { as: 'acme' })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect((await slow).status).toBe(200)
    await closing
    expect(performance.now() - startedAt).toBeLessThan(3_000 * BUSY)
    await waitUntil('the idle connection to be closed', () => idle.destroyed || idle.readyState === 'closed')
    agent.destroy()
  })

  test('does not wait longer than its time', async () => {
    const stopping = await world.gateway('us', { routes: routes as never })
    const slow = Array.from({ length: 3 }, () =>
      stopping.ask('/v1/sleep-in-transaction', { as: 'acme' }).catch((e) => e),
    )
    await waitUntil('the statements to run', async () => (await running()).length === 3)
    await Promise.all([stopping.close(), Promise.all(slow)])
    await waitUntil('no statement to be left', async () => (await running()).length === 0)
  })

  test('leaves no connection to any database', async () => {
    const before = await connections()
    const short = await world.gateway()
    await short.ask('/rest/v1/customers', { as: 'initech' })
    expect(await connections()).toBeGreaterThan(before)
    await short.close()
    await waitUntil('the connections to end', async () => (await connections()) <= before)
  })

  const connections = async () => {
    const [row] = await admin<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity where usename in ('innkeeper_app', 'innkeeper_directory')`
    return row!.n
  }
})
