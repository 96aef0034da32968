import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BUSY } from '../support/busy.ts'
import { BODY_MAX, type HostileWorld, JSON_TYPE, startHostileWorld } from './hostile-world.ts'
import { SECRETS } from './support.ts'

let on: HostileWorld
beforeAll(async () => {
  on = await startHostileWorld()
})
afterAll(() => on?.world.close())

describe('a body', () => {
  test('that is too large is 413 before it is read, declared or not', async () => {
    const large = Buffer.alloc(BODY_MAX + 1, ' ')
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }] as Record<string, string>[]) {
      const answer = await on.post('tags', large, { ...JSON_TYPE, ...headers })
      expect(answer.status).toBe(413)
      expect(answer.json).toMatchObject({ code: 'payload_too_large', status: 413 })
    }
    // Nobody has to send what is refused anyway.
    const socket = connect(on.gateway.port, '127.0.0.1')
    const head = await new Promise<string>((resolve) => {
      socket.once('data', (data) => resolve(data.toString()))
      socket.write(
        `POST /rest/v1/tags HTTP/1.1\r\nHost: localhost\r\napikey: ${on.world.system.keyOf('acme')}\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n[`,
      )
    })
    expect(head).toMatch(/^HTTP\/1\.1 413 /)
    socket.destroy()
  })

  test('that comes too slowly is 408', async () => {
    const { head, ms } = await dribble(
      `POST /rest/v1/tags HTTP/1.1\r\nHost: localhost\r\napikey: ${on.world.system.keyOf('acme')}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
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
      expect([body, (await on.post('tags', body)).status]).toEqual([body, 400])
    }
  })

  test('that is not UTF-8, or holds NUL, is 400', async () => {
    const bytes = Buffer.concat([Buffer.from('{"id":70,"name":"'), Buffer.from([0xff, 0xfe, 0xc0]), Buffer.from('"}')])
    expect((await on.post('tags', bytes)).status).toBe(400)
    for (const body of [
      '{"id":70,"name":"a\\u0000b"}',
      '{"id":70,"name":"a\u0000b"}',
      '[{"id":70,"name":"\\u0000"}]',
    ]) {
      expect([body, (await on.post('tags', body)).status]).toEqual([body, 400])
    }
    for (const custom of ['{"a":"\\u0000"}', '{"\\u0000":1}', '"\\ud800"', '{"a":"\\udc00\\ud800"}']) {
      const row = `{"id":70,"name":"n","email":"${Math.random()}","custom":${custom}}`
      expect([custom, (await on.post('customers', row)).status]).toEqual([custom, 400])
    }
  })

  test('of a kind that is not served is 415 or 400, and keys that mean something in JavaScript mean nothing', async () => {
    for (const type of ['text/xml', 'application/octet-stream', 'multipart/form-data; boundary=x', 'nonsense', '']) {
      expect([type, (await on.post('tags', '<a/>', { 'content-type': type })).status]).toEqual([
        type,
        expect.toSatisfy((s) => s === 415 || s === 400),
      ])
    }
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      const answer = await on.post('tags', `{"id":71,"name":"x","${key}":{"polluted":true}}`)
      expect([key, answer.status]).toEqual([key, 400])
    }
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('nested a thousand times is refused or stored, and breaks nothing', async () => {
    for (const depth of [100, 1_000, 8_000]) {
      const deep = `${'['.repeat(depth)}${']'.repeat(depth)}`
      await on.harmless('/rest/v1/customers', {
        as: 'acme',
        method: 'POST',
        headers: JSON_TYPE,
        body: `{"name":"x","email":"deep-${depth}","custom":{"a":${deep}}}`,
      })
      await on.harmless('/rest/v1/customers', { as: 'acme', method: 'POST', headers: JSON_TYPE, body: deep })
      await on.harmless('/rest/v1/customers?select=custom&limit=5', { as: 'acme' })
    }
  })
})

describe('a head', () => {
  test('with a flood of headers, or one that is huge, is 431', async () => {
    const flood = Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`x-flood-${n}`, 'y'.repeat(40)]))
    expect((await on.gateway.ask('/v1/whoami', { as: 'acme', headers: flood })).status).toBe(431)
    expect(
      (await on.gateway.ask('/v1/whoami', { as: 'acme', headers: { 'x-large': 'y'.repeat(20_000) } })).status,
    ).toBe(431)
    expect((await on.gateway.ask(`/rest/v1/tags?name=eq.${'y'.repeat(20_000)}`, { as: 'acme' })).status).toBe(431)
  })

  test('that comes too slowly is 408, soon after its time', async () => {
    const { head, ms } = await dribble('GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
    expect(head).toMatch(/^HTTP\/1\.1 408 /)
    expect(ms).toBeLessThan(4_000 * BUSY)
  })

  test('with a method that nobody serves is refused', async () => {
    for (const method of ['TRACE', 'PROPFIND', 'PURGE', 'LINK', 'SEARCH']) {
      await on.harmless('/rest/v1/tags', { as: 'acme', method })
      expect([method, (await on.gateway.ask('/rest/v1/tags', { as: 'acme', method })).status]).toEqual([method, 405])
    }
  })
})

describe('a query', () => {
  const read = (query: string, as = 'acme') => on.gateway.ask(`/rest/v1/customers?${query}`, { as })

  test('nested too deeply is 400', async () => {
    for (const depth of [200, 1_000, 3_000]) {
      for (const query of [
        `and=(${'and('.repeat(depth)}id.eq.1${')'.repeat(depth)})`,
        `select=${'tickets(customers('.repeat(Math.min(depth, 700))}id${'))'.repeat(Math.min(depth, 700))}`,
        `id=${'not.'.repeat(depth)}eq.1`,
      ]) {
        expect([query.slice(0, 40), (await read(query)).status]).toEqual([query.slice(0, 40), 400])
      }
      await on.harmless(`/rest/v1/customers?select=custom${'->a'.repeat(depth)}`, { as: 'acme' })
      await on.harmless(`/rest/v1/customers?id=in.(${'1,'.repeat(depth)}1)`, { as: 'acme' })
      await on.harmless(`/rest/v1/customers?${'name=eq.x&'.repeat(depth / 2)}`, { as: 'acme' })
      await on.harmless(`/rest/v1/customers?order=${'id,'.repeat(depth)}id`, { as: 'acme' })
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
      await on.harmless('/rest/v1/customers', { as: 'acme', headers })
    }
  })
})

/** Sends a byte now and then until there is an answer. */
async function dribble(start: string): Promise<{ head: string; ms: number }> {
  const startedAt = performance.now()
  const socket = connect(on.gateway.port, '127.0.0.1')
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
