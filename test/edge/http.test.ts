import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { problemOf, statusOf } from '../../gateway/edge/problem.ts'
import { ERROR_CODES, type ErrorCode, InnkeeperError } from '../../tiers/errors.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { World } from './support/world.ts'

const world = new World()
let gateway: TestGateway
let key: string
let isReady = true
const aborted: unknown[] = []
const endless: AbortSignal[] = []

beforeAll(async () => {
  key = world.key(world.tenant('acme'))
  gateway = await startGateway({
    world,
    ready: async () => ({ checks: { directory: isReady } }),
    config: { http: { headerBytesMax: 8_192, requestTimeoutMs: 300, drainMs: 400 } },
    routes(app) {
      app.get('/wait', async (c) => {
        const signal = c.get('signal')
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
        return c.text('never')
      })
      app.get('/hang', async (c) => {
        await new Promise((resolve) => setTimeout(resolve, 2_500))
        return c.text('too late')
      })
      app.get('/watched', async (c) => {
        const signal = c.get('signal')
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => {
            aborted.push(signal.reason)
            resolve()
          })
        })
        return c.text('nobody reads this')
      })
      app.get('/stream', (c) =>
        c.body(new Blob(['streamed '.repeat(500)]).stream(), 200, { 'content-type': 'text/plain' }),
      )
      app.get('/string', () => {
        throw 'secret_string'
      })
      app.get('/endless', (c) => {
        endless.push(c.get('signal'))
        return c.body(new ReadableStream({ start: (stream) => stream.enqueue(Buffer.from('a')) }))
      })
      app.get('/raw', () => new Response('made without the context'))
      app.get('/tagged', (c) => c.json({ text: 'x'.repeat(2_000) }, 200, { etag: '"v1"', vary: 'Accept' }))
    },
  })
})
afterAll(() => gateway.close())

const ask = (path: string, headers: Record<string, string> = {}, options = {}) =>
  gateway.ask(path, { apikey: key, ...headers }, options)

describe('errors', () => {
  test('every code has a status, and its document is one that both kinds of client can read', () => {
    for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
      expect(statusOf(code)).toBeGreaterThanOrEqual(400)
      const problem = problemOf(new InnkeeperError(code, 'm', { details: 'd', hint: 'h' }), 'r')
      expect(problem).toMatchObject({
        type: `/errors/${code}`,
        status: statusOf(code),
        code,
        instance: 'urn:request:r',
      })
      for (const name of ['title', 'detail', 'message', 'details', 'hint']) expect(problem).toHaveProperty(name)
    }
  })

  test('what nobody expected says nothing of itself to the client, and all of it to the log', async () => {
    const answer = await ask('/boom')
    expect(answer.status).toBe(500)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.text).not.toContain('secret_table')
    const line = gateway.logs.find((l) => l.level === 'error')
    expect(line).toMatchObject({ error: 'internal', request_id: answer.headers['x-request-id'] })
    expect(JSON.stringify(line)).toContain('secret_table')
  })

  test('what is thrown and is no Error is a fault of ours like any other, and not the client’s', async () => {
    const answer = await ask('/string')
    expect(answer.json).toMatchObject({ status: 500, code: 'internal' })
    expect(answer.text).not.toContain('secret_string')
    expect(JSON.stringify(gateway.logs.filter((l) => l.level === 'error'))).toContain('secret_string')
  })

  test('what the platform has to say of its own faults is not for a client', () => {
    for (const code of ['internal', 'invalid_config', 'no_tenant', 'tenant_switch'] as const) {
      const problem = problemOf(new InnkeeperError(code, 'inside', { details: 'inside', hint: 'inside' }), 'r')
      expect(JSON.stringify(problem)).not.toContain('inside')
    }
  })

  test('an unknown route is 404, for who has a tenant; for anybody else 401', async () => {
    expect((await ask('/nothing')).json).toMatchObject({ code: 'not_found', status: 404 })
    expect((await gateway.ask('/nothing')).status).toBe(401)
  })

  test('what is no request at all is 400, with a document too', async () => {
    const answer = await raw('GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 400/)
    expect(answer).toContain('"code":"invalid_request"')
  })

  test('headers larger than the limit are refused', async () => {
    expect((await ask('/v1/whoami', { 'x-large': 'a'.repeat(9_000) })).status).toBe(431)
  })
})

describe('request ids', () => {
  test('a sane one is taken over, any other is replaced', async () => {
    expect((await ask('/v1/whoami', { 'x-request-id': 'client-id-1234' })).headers['x-request-id']).toBe(
      'client-id-1234',
    )
    for (const id of ['short', 'a'.repeat(65), 'with space in it', '<script>alert</script>', 'a\tb567890']) {
      expect((await ask('/v1/whoami', { 'x-request-id': id })).headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
    }
  })
})

describe('CORS', () => {
  const preflight = {
    origin: 'https://app.test',
    'access-control-request-method': 'PATCH',
    'access-control-request-headers': 'apikey,authorization,prefer',
  }

  test('a preflight is answered without a credential', async () => {
    const answer = await gateway.ask('/rest/v1/tickets', preflight, { method: 'OPTIONS' })
    expect(answer.status).toBe(204)
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'apikey,authorization,prefer',
    })
    expect(answer.headers['access-control-allow-methods']).toContain('PATCH')
  })

  test('a script may read the answers, errors included, and the headers that matter', async () => {
    for (const answer of [
      await ask('/v1/whoami', { origin: 'https://app.test' }),
      await gateway.ask('/x', { origin: 'https://app.test' }),
    ]) {
      expect(answer.headers['access-control-allow-origin']).toBe('*')
      for (const name of ['Content-Range', 'Preference-Applied', 'RateLimit', 'Location']) {
        expect(answer.headers['access-control-expose-headers']).toContain(name)
      }
    }
  })

  test('with origins listed, no other is let in, and caches are told', async () => {
    const strict = await startGateway({ world, config: { cors: { origins: ['https://app.test'] } } })
    const good = await strict.ask('/v1/whoami', { apikey: key, origin: 'https://app.test' })
    expect(good.headers).toMatchObject({ 'access-control-allow-origin': 'https://app.test' })
    expect(good.headers.vary).toContain('Origin')
    const bad = await strict.ask('/rest/v1/x', { ...preflight, origin: 'https://evil.test' }, { method: 'OPTIONS' })
    expect(bad.headers['access-control-allow-origin']).toBeUndefined()
    expect(bad.headers['access-control-allow-methods']).toBeUndefined()
    await strict.close()
  })

  test('a list of headers that is none is not given back', async () => {
    const headers = { ...preflight, 'access-control-request-headers': 'a;b"<x>' }
    const answer = await gateway.ask('/x', headers, { method: 'OPTIONS' })
    expect(answer.headers['access-control-allow-headers']).toBeUndefined()
  })
})

describe('security headers', () => {
  test('no cache may keep an answer, unless its handler says so; also on a Response of its own making', async () => {
    for (const path of ['/v1/whoami', '/raw', '/nothing']) {
      expect((await ask(path)).headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      })
    }
  })

  test('HSTS only over TLS, and a stranger cannot say that there is some', async () => {
    expect(
      (await ask('/v1/whoami', { 'x-forwarded-proto': 'https' })).headers['strict-transport-security'],
    ).toBeUndefined()
  })
})

describe('gzip', () => {
  const gzip = { 'accept-encoding': 'gzip, deflate' }

  test('a large answer is packed for who accepts it, and right when unpacked', async () => {
    const packed = await fetchRaw('/big', gzip)
    expect(packed.headers).toMatch(/content-encoding: gzip/i)
    expect(packed.headers).toMatch(/vary: .*Accept-Encoding/i)
    expect(JSON.parse(gunzipSync(packed.body).toString()).text).toHaveLength(10_000)
    expect(packed.body.length).toBeLessThan(500)
  })

  test('a small one, one that is streamed and one for a client that does not ask are left alone', async () => {
    expect((await fetchRaw('/v1/whoami', gzip)).headers).not.toMatch(/content-encoding/i)
    expect((await fetchRaw('/stream', gzip)).headers).not.toMatch(/content-encoding/i)
    for (const accept of [{}, { 'accept-encoding': 'br' }, { 'accept-encoding': 'gzip;q=0, *' }]) {
      const plain = await ask('/big', accept as Record<string, string>)
      expect(plain.headers['content-encoding']).toBeUndefined()
      expect(plain.text).toContain('innkeeper')
    }
  })

  test('a strong validator becomes a weak one, and what the handler varies by is kept', async () => {
    const { headers } = await fetchRaw('/tagged', gzip)
    expect(headers).toMatch(/etag: W\/"v1"/i)
    expect(headers).toMatch(/vary: Accept-Encoding, Accept\r/i)
  })

  test('HEAD has no body', async () => {
    const answer = await ask('/big', gzip, { method: 'HEAD' })
    expect(answer.status).toBe(200)
    expect(answer.text).toBe('')
  })
})

describe('bodies', () => {
  test('one within the limit of the tier arrives, whole or in chunks', async () => {
    const body = 'x'.repeat(2_000)
    expect((await ask('/echo', { 'content-length': '2000' }, { method: 'POST', body })).json.body).toBe(body)
    expect((await ask('/echo', { 'transfer-encoding': 'chunked' }, { method: 'POST', body })).json.body).toBe(body)
  })

  test('one in a coding that is not undone here is refused, as it is where it would be forwarded', async () => {
    const answer = await raw(
      `POST /echo HTTP/1.1\r\nHost: localhost\r\napikey: ${key}\r\nConnection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1.1 400/)
    expect(answer).toContain('The transfer coding is not supported')
  })

  test('a larger one is refused, whole or in chunks', async () => {
    const body = 'x'.repeat(3_000)
    for (const headers of [{ 'content-length': '3000' }, { 'transfer-encoding': 'chunked' }] as Record<
      string,
      string
    >[]) {
      const answer = await ask('/echo', headers, { method: 'POST', body })
      expect(answer.status).toBe(413)
      expect(answer.json.code).toBe('payload_too_large')
    }
  })
})

describe('the end of a request', () => {
  test('one that takes too long is 504, by a handler that heeds its signal and for one that does not', async () => {
    const [heeds, hangs] = await Promise.all([ask('/wait'), ask('/hang')])
    for (const answer of [heeds, hangs]) {
      expect(answer.status).toBe(504)
      expect(answer.json.code).toBe('statement_timeout')
    }
  })

  test('an answer that has begun may outlast the deadline, and so may what it asks for', async () => {
    const streaming = request({ port: gateway.port, path: '/endless', headers: { apikey: key } }).end()
    await once(streaming, 'response')
    // One that came later is over.
    expect((await ask('/wait')).status).toBe(504)
    expect(endless[0]?.aborted).toBe(false)
    streaming.destroy()
    await expect.poll(() => endless[0]?.reason).toMatchObject({ code: 'client_closed_request' })
  })

  test('a client that does not get on with its body is told so by 408, and its connection is closed', async () => {
    const answer = await raw(`POST /echo HTTP/1.1\r\nHost: localhost\r\napikey: ${key}\r\nContent-Length: 9\r\n\r\nabc`)
    expect(answer).toMatch(/^HTTP\/1.1 408/)
    expect(answer).toMatch(/connection: close/i)
    expect(answer).toContain('request_timeout')
  })

  test('a client that goes away aborts the signal', async () => {
    const socket = connect(gateway.port, '127.0.0.1')
    socket.write(`GET /watched HTTP/1.1\r\nHost: localhost\r\napikey: ${key}\r\n\r\n`)
    await new Promise((resolve) => setTimeout(resolve, 100))
    socket.destroy()
    await expect.poll(() => aborted.at(-1)).toMatchObject({ code: 'client_closed_request' })
    await expect.poll(() => gateway.logs.some((l) => l.path === '/watched' && l.status === 499)).toBe(true)
  })
})

describe('health', () => {
  test('both are open, by any host', async () => {
    for (const host of ['localhost', '127.0.0.1', 'nobody.test', '10.1.2.3:9']) {
      expect((await gateway.ask('/healthz', { host })).status).toBe(200)
      expect((await gateway.ask('/readyz', { host })).status).toBe(200)
    }
  })

  test('readiness says what is missing', async () => {
    isReady = false
    const answer = await gateway.ask('/readyz')
    isReady = true
    expect(answer.status).toBe(503)
    expect(answer.json.checks).toEqual({ directory: false, accepting: true })
  })

  test('a gateway that drains is not ready, finishes what is under way, and closes its connections', async () => {
    const [begun, finish] = [Promise.withResolvers<void>(), Promise.withResolvers<string>()]
    const draining = await startGateway({
      world,
      config: { http: { drainMs: 40_000 } },
      routes: (app) =>
        app.get('/slow', async (c) => {
          begun.resolve()
          return c.text(await finish.promise)
        }),
    })
    const slow = draining.ask('/slow', { apikey: key })
    await begun.promise
    const startedMs = performance.now()
    const drained = draining.edge.drain()
    expect((await draining.ask('/readyz')).status).toBe(503)
    const kept = await draining.ask('/v1/whoami', { apikey: key, connection: 'keep-alive' })
    expect(kept.headers.connection).toBe('close')
    finish.resolve('done')
    await drained
    // Not the whole time that it may take: far from it, also on a busy machine.
    expect(performance.now() - startedMs).toBeLessThan(20_000)
    expect((await slow).text).toBe('done')
    await draining.close()
  })
})

/** Sends bytes as they are, and gives back all that comes until the other side closes. */
function raw(text: string): Promise<string> {
  return rawBytes(text).then((bytes) => bytes.toString())
}

function rawBytes(text: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.port, '127.0.0.1', () => socket.write(text))
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('end', () => resolve(Buffer.concat(chunks)))
    socket.on('error', reject)
  })
}

async function fetchRaw(path: string, headers: Record<string, string>): Promise<{ headers: string; body: Buffer }> {
  const lines = Object.entries({ host: 'localhost', apikey: key, connection: 'close', ...headers })
  const bytes = await rawBytes(`GET ${path} HTTP/1.1\r\n${lines.map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`)
  const end = bytes.indexOf('\r\n\r\n')
  return { headers: bytes.subarray(0, end).toString(), body: bytes.subarray(end + 4) }
}
