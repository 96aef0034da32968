import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BUSY } from '../support/busy.ts'
import { US_TENANTS } from '../support/system.ts'
import { type Ask, SECRETS, startWorld, supabase, type TestGateway, type World } from './support.ts'

const SLUGS = US_TENANTS.map((t) => t.slug)
const BODY_MAX = 64 * 1024
const MARK = 'MARKED-ROW-OF-ANOTHER'

let world: World
let gateway: TestGateway
beforeAll(async () => {
  world = await startWorld({
    tenants: [{ slug: 'victim', tier: 'free', region: 'us' }, ...US_TENANTS],
    configure: (input) => ({
      ...input,
      http: { requestTimeoutMs: 1_500, headersTimeoutMs: 1_000 },
      tiers: Object.fromEntries(
        Object.entries(input.tiers).map(([name, tier]) => [
          name,
          { ...tier, limits: { ...tier.limits, bodyBytesMax: BODY_MAX } },
        ]),
      ),
    }),
  })
  gateway = await world.gateway()
  for (const slug of ['victim', ...SLUGS]) {
    const name = slug === 'victim' ? MARK : slug
    const client = supabase(world, gateway, slug)
    await client.from('customers').insert({ id: 1, name, email: name, custom: { name } })
    await client.from('tickets').insert({ id: 1, customer_id: 1, subject: name })
  }
})
afterAll(() => world?.close())

const json = { 'content-type': 'application/json' }
const post = (path: string, body: string | Buffer, headers: Record<string, string> = json, as = 'acme') =>
  gateway.ask(`/rest/v1/${path}`, { as, method: 'POST', headers, body })

/** Whatever came in, the answer is one of the client's fault or a result, and tells of nobody and nothing else. */
async function harmless(path: string, options: Ask): Promise<number> {
  const logged = gateway.logs.length
  const { status, text } = await gateway.ask(path, options)
  if (status >= 500)
    throw new Error(
      `${options.method ?? 'GET'} ${path} ${options.body ?? ''}: ${status} ${text} ${JSON.stringify(gateway.logs.slice(logged))}`,
    )
  expect(text).not.toContain(MARK)
  return status
}

describe('a body', () => {
  test('that is too large is 413 before it is read, declared or not', async () => {
    const large = Buffer.alloc(BODY_MAX + 1, ' ')
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }] as Record<string, string>[]) {
      const answer = await post('tags', large, { ...json, ...headers })
      expect(answer.status).toBe(413)
      expect(answer.json).toMatchObject({ code: 'payload_too_large', status: 413 })
    }
    // Nobody has to send what is refused anyway.
    const socket = connect(gateway.port, '127.0.0.1')
    const head = await new Promise<string>((resolve) => {
      socket.once('data', (data) => resolve(data.toString()))
      socket.write(
        `POST /rest/v1/tags HTTP/1.1\r\nHost: localhost\r\napikey: ${world.system.keyOf('acme')}\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n[`,
      )
    })
    expect(head).toMatch(/^HTTP\/1\.1 413 /)
    socket.destroy()
  })

  test('that comes too slowly is 408', async () => {
    const { head, ms } = await dribble(
      `POST /rest/v1/tags HTTP/1.1\r\nHost: localhost\r\napikey: ${world.system.keyOf('acme')}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
    )
    expect(head).toMatch(/^HTTP\/1\.1 408 /)
    expect(ms).toBeLessThan(4_000 * BUSY)
  })

  test('that is no JSON, or no row, is 400', async () => {
    for (const body of [
      '',
      '{',
      '[',
      '{"a":}',
      '"text"',
      '1',
      'null',
      'true',
      '[1]',
      '[[]]',
      '[null]',
      '{"id":1,}',
      "{'id':1}",
      'NaN',
      '[{},1]',
      '\ufeff{}x',
    ]) {
      expect([body, (await post('tags', body)).status]).toEqual([body, 400])
    }
  })

  test('that is not UTF-8, or holds NUL, is 400', async () => {
    const bytes = Buffer.concat([Buffer.from('{"id":70,"name":"'), Buffer.from([0xff, 0xfe, 0xc0]), Buffer.from('"}')])
    expect((await post('tags', bytes)).status).toBe(400)
    for (const body of [
      '{"id":70,"name":"a\\u0000b"}',
      '{"id":70,"name":"a\u0000b"}',
      '[{"id":70,"name":"\\u0000"}]',
    ]) {
      expect([body, (await post('tags', body)).status]).toEqual([body, 400])
    }
    for (const custom of ['{"a":"\\u0000"}', '{"\\u0000":1}', '"\\ud800"', '{"a":"\\udc00\\ud800"}']) {
      const row = `{"id":70,"name":"n","email":"${Math.random()}","custom":${custom}}`
      expect([custom, (await post('customers', row)).status]).toEqual([custom, 400])
    }
  })

  test('of a kind that is not served is 415 or 400, and keys that mean something in JavaScript mean nothing', async () => {
    for (const type of ['text/xml', 'application/octet-stream', 'multipart/form-data; boundary=x', 'nonsense', '']) {
      expect([type, (await post('tags', '<a/>', { 'content-type': type })).status]).toEqual([
        type,
        expect.toSatisfy((s) => s === 415 || s === 400),
      ])
    }
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      const answer = await post('tags', `{"id":71,"name":"x","${key}":{"polluted":true}}`)
      expect([key, answer.status]).toEqual([key, 400])
    }
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('nested a thousand times is refused or stored, and breaks nothing', async () => {
    for (const depth of [100, 1_000, 8_000]) {
      const deep = `${'['.repeat(depth)}${']'.repeat(depth)}`
      await harmless('/rest/v1/customers', {
        as: 'acme',
        method: 'POST',
        headers: json,
        body: `{"name":"x","email":"deep-${depth}","custom":{"a":${deep}}}`,
      })
      await harmless('/rest/v1/customers', { as: 'acme', method: 'POST', headers: json, body: deep })
      await harmless('/rest/v1/customers?select=custom&limit=5', { as: 'acme' })
    }
  })
})

describe('a head', () => {
  test('with a flood of headers, or one that is huge, is 431', async () => {
    const flood = Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`x-flood-${n}`, 'y'.repeat(40)]))
    expect((await gateway.ask('/v1/whoami', { as: 'acme', headers: flood })).status).toBe(431)
    expect((await gateway.ask('/v1/whoami', { as: 'acme', headers: { 'x-large': 'y'.repeat(20_000) } })).status).toBe(
      431,
    )
    expect((await gateway.ask(`/rest/v1/tags?name=eq.${'y'.repeat(20_000)}`, { as: 'acme' })).status).toBe(431)
  })

  test('that comes too slowly is 408, soon after its time', async () => {
    const { head, ms } = await dribble('GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
    expect(head).toMatch(/^HTTP\/1\.1 408 /)
    expect(ms).toBeLessThan(4_000 * BUSY)
  })

  test('with a method that nobody serves is refused', async () => {
    for (const method of ['TRACE', 'PROPFIND', 'PURGE', 'LINK', 'SEARCH']) {
      await harmless('/rest/v1/tags', { as: 'acme', method })
      expect([method, (await gateway.ask('/rest/v1/tags', { as: 'acme', method })).status]).toEqual([method, 405])
    }
  })
})

describe('a query', () => {
  const read = (query: string, as = 'acme') => gateway.ask(`/rest/v1/customers?${query}`, { as })

  test('nested too deeply is 400', async () => {
    for (const depth of [200, 1_000, 3_000]) {
      for (const query of [
        `and=(${'and('.repeat(depth)}id.eq.1${')'.repeat(depth)})`,
        `select=${'tickets(customers('.repeat(Math.min(depth, 700))}id${'))'.repeat(Math.min(depth, 700))}`,
        `id=${'not.'.repeat(depth)}eq.1`,
      ]) {
        expect([query.slice(0, 40), (await read(query)).status]).toEqual([query.slice(0, 40), 400])
      }
      await harmless(`/rest/v1/customers?select=custom${'->a'.repeat(depth)}`, { as: 'acme' })
      await harmless(`/rest/v1/customers?id=in.(${'1,'.repeat(depth)}1)`, { as: 'acme' })
      await harmless(`/rest/v1/customers?${'name=eq.x&'.repeat(depth / 2)}`, { as: 'acme' })
      await harmless(`/rest/v1/customers?order=${'id,'.repeat(depth)}id`, { as: 'acme' })
    }
  })

  test('with bytes or values that PostgreSQL cannot take is 400', async () => {
    for (const query of [
      'name=eq.%00',
      'name=eq.a%00b',
      'custom=eq.%00',
      '%00=eq.1',
      'select=%00',
      'order=%00',
      'name=in.(%00)',
      'name=like.%00*',
      'name=eq.%ff',
      'name=eq.%c0%80',
      'name=eq.%ed%a0%80',
      'name=eq.%',
      'name=eq.%zz',
      '%ff=eq.1',
      'id=eq.99999999999999999999',
      'id=eq.1.5',
      'id=eq.',
      'id=in.()',
      'id=in.(,)',
      'id=gt.NaN',
      'created_at=gt.tomorrowish',
      'created_at=eq.99999-01-01',
      'custom=eq.{',
      'custom=cs.{',
      'name=cs.{',
      'name=match.(',
      'name=imatch.[',
      'name=fts.(((',
      'limit=-1',
      'limit=x',
      'limit=1e99',
      'limit=99999999999999999999',
      'offset=-1',
      'offset=x',
      'offset=99999999999999999999',
      'select=id::nothing',
      'select=name::bigint',
      'select=(',
      'select=)',
      'select=*,',
      'select=id(',
      'order=id.sideways',
      'order=.',
      'or=(',
      'or=()',
      'or=(id)',
      'id',
      'id=',
      'id=eq',
      'id=foo.1',
      'id=is.maybe',
    ]) {
      const { status, text } = await read(query)
      expect([query, status, text]).toEqual([
        query,
        expect.toSatisfy((s) => (s >= 400 && s < 500) || (s === 200 && text === '[]') || s === 206),
        text,
      ])
      expect([query, text]).toEqual([query, expect.not.stringMatching(SECRETS)])
    }
  })

  test('whose values are all NUL or out of range is 400, never 500', async () => {
    for (const query of ['name=eq.%00', 'id=eq.99999999999999999999', 'name=match.(', 'limit=99999999999999999999']) {
      expect([query, (await read(query)).status]).toEqual([query, 400])
    }
  })

  test('with ranges and preferences that are none does no harm', async () => {
    for (const headers of [
      { range: 'bytes=0-10' },
      { range: '5-1' },
      { range: '-5' },
      { range: 'x' },
      { range: '0-99999999999999999999', 'range-unit': 'items' },
      { prefer: 'count=maybe' },
      { prefer: 'return=everything,,;=' },
      { prefer: 'max-affected=-1,handling=strict' },
      { prefer: 'tx=rollback' },
      { prefer: 'timezone=Mars/Olympus' },
      { accept: 'x' },
      { accept: '*/*;q=0' },
      { accept: 'application/vnd.pgrst.plan' },
      { accept: 'application/vnd.pgrst.plan+json;options=analyze|verbose' },
      { 'accept-encoding': 'gzip;q=x' },
      { 'if-none-match': '*' },
      { expect: '200-maybe' },
      { 'accept-profile': 'pg_catalog' },
      { 'x-request-id': 'é' },
    ] as Record<string, string>[]) {
      await harmless('/rest/v1/customers', { as: 'acme', headers })
    }
  })
})

describe('whatever is sent, it is no failure of ours and shows nothing of another tenant', () => {
  const word = fc.constantFrom(
    'id',
    'name',
    'email',
    'custom',
    'tickets',
    'customers',
    'customer',
    'tenant_id',
    'select',
    'order',
    'or',
    'and',
    'not',
    'eq',
    'in',
    'is',
    'cs',
    'like',
    'fts',
    'match',
    '.',
    ',',
    '(',
    ')',
    '*',
    '->',
    '->>',
    '::',
    ':',
    '!inner',
    '!',
    '"',
    "'",
    '\\',
    '{',
    '}',
    '[',
    ']',
    'null',
    'true',
    '1',
    '-1',
    '1e5',
    '%00',
    '%ff',
    '%',
    '=',
    '&',
    'desc',
    'nullslast',
    'text',
    'int4',
    'json',
    'sum()',
    'count()',
    '...',
    ' ',
    'limit',
    'offset',
    'columns',
    'on_conflict',
    '{room}',
    '$1',
    ';',
    '--',
    '/*',
    'any',
    'all',
    'é',
    '😀',
  )
  const text = fc.array(word, { minLength: 1, maxLength: 10 }).map((words) => words.join(''))
  const parameter = fc.tuple(
    fc.oneof(
      fc.constantFrom(
        'select',
        'order',
        'or',
        'and',
        'not.or',
        'id',
        'name',
        'custom',
        'custom->>a',
        'tickets.id',
        'tickets.order',
        'limit',
        'offset',
        'columns',
        'on_conflict',
      ),
      text,
    ),
    fc.oneof(
      text,
      fc
        .tuple(
          fc.constantFrom(
            'eq',
            'neq',
            'gt',
            'like',
            'ilike',
            'in',
            'is',
            'cs',
            'cd',
            'ov',
            'fts',
            'match',
            'not.eq',
            'eq(any)',
          ),
          text,
        )
        .map(([op, v]) => `${op}.${v}`),
      fc.string({ maxLength: 20 }).map(encodeURIComponentSafely),
    ),
  )
  const query = fc.array(parameter, { maxLength: 4 }).map((all) =>
    all
      .map(([n, v]) => `${n}=${v}`)
      .join('&')
      .replaceAll('#', '%23')
      .replace(/[^\x21-\x7e]/g, encodeURIComponentSafely),
  )
  const as = fc.constantFrom(...SLUGS)
  const table = fc.constantFrom('customers', 'tickets', 'tags')

  test('in queries', { timeout: 60_000 }, async () => {
    let good = 0
    await fc.assert(
      fc.asyncProperty(as, table, query, fc.constantFrom('GET', 'HEAD', 'DELETE'), async (slug, name, q, method) => {
        // Deletes say which row, so that the others stay for what comes after.
        const guard = method === 'DELETE' ? 'id=eq.-5&' : ''
        if ((await harmless(`/rest/v1/${name}?${guard}${q}`, { as: slug, method })) < 300) good++
      }),
      { numRuns: 600 },
    )
    // Else nothing of it would have got as far as the database.
    expect(good).toBeGreaterThan(30)
  })

  test('in bodies', { timeout: 60_000 }, async () => {
    let good = 0
    const column = fc.oneof(
      fc.constantFrom('id', 'name', 'email', 'custom', 'tenant_id', 'customer_id', 'subject', 'status', 'created_at'),
      fc.string({ maxLength: 8 }),
    )
    const row = fc.dictionary(
      column,
      fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.string({ unit: 'binary', maxLength: 10 })),
      { maxKeys: 5 },
    )
    const tag = fc.record({
      id: fc.integer({ min: 1, max: 1e9 }),
      name: fc.string(),
      color: fc.string({ unit: 'binary' }),
    })
    const body = fc.oneof(row, fc.array(row, { maxLength: 4 }), fc.array(tag), fc.jsonValue({ maxDepth: 4 }))
    const prefer = fc.constantFrom(
      'return=representation',
      'return=minimal',
      'resolution=merge-duplicates',
      'resolution=ignore-duplicates',
      'missing=default',
      'return=headers-only',
    )
    await fc.assert(
      fc.asyncProperty(
        as,
        table,
        body,
        prefer,
        fc.constantFrom('POST', 'PATCH', 'PUT'),
        async (slug, name, sent, preference, method) => {
          const path = method === 'POST' ? name : `${name}?id=eq.-5`
          const status = await harmless(`/rest/v1/${path}`, {
            as: slug,
            method,
            headers: { ...json, prefer: preference },
            body: JSON.stringify(sent),
          })
          if (status < 300) good++
        },
      ),
      { numRuns: 500 },
    )
    expect(good).toBeGreaterThan(30)
  })

  test('in bytes and paths', { timeout: 60_000 }, async () => {
    const path = fc.string({ maxLength: 30 }).map((p) => p.replace(/[^\x21-\x7e]|#/g, encodeURIComponentSafely))
    const type = fc.constantFrom('application/json', 'text/csv', 'application/x-www-form-urlencoded', 'text/plain')
    await fc.assert(
      fc.asyncProperty(as, path, fc.uint8Array({ maxLength: 200 }), type, async (slug, p, bytes, contentType) => {
        await harmless(`/${p}`, { as: slug })
        await harmless(`/rest/v1/tags?on_conflict=${p}`, {
          as: slug,
          method: 'POST',
          headers: { 'content-type': contentType },
          body: Buffer.from(bytes),
        })
      }),
      { numRuns: 250 },
    )
  })
})

function encodeURIComponentSafely(value: string): string {
  return encodeURIComponent(value.toWellFormed())
}

/** Sends a byte now and then until there is an answer. */
async function dribble(start: string): Promise<{ head: string; ms: number }> {
  const startedAt = performance.now()
  const socket = connect(gateway.port, '127.0.0.1')
  const timer = setInterval(() => socket.write(' '), 100)
  try {
    const head = await new Promise<string>((resolve) => {
      socket.once('data', (data) => resolve(data.toString()))
      socket.once('error', () => resolve('reset'))
      socket.once('close', () => resolve('closed'))
      socket.write(start)
      setTimeout(() => resolve('no answer'), 8_000).unref()
    })
    return { head, ms: performance.now() - startedAt }
  } finally {
    clearInterval(timer)
    socket.destroy()
  }
}
