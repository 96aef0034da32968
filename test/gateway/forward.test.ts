import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BUSY } from '../support/busy.ts'
import { probeRoutes } from './probe-routes.ts'
import { send } from './support.ts'
import { startTwoRegions, type TwoRegions } from './two-regions.ts'

let regions: TwoRegions
beforeAll(async () => {
  regions = await startTwoRegions({ routes: probeRoutes() })
}, 120_000)
afterAll(() => regions?.close())

/** Bytes as they are, so that a request can be as wrong as a client can make it. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let answer = ''
    socket.setEncoding('latin1').on('data', (data) => {
      answer += data
    })
    socket.on('close', () => resolve(answer)).on('error', reject)
    setTimeout(() => socket.end(), 300)
    setTimeout(() => socket.destroy(), 700)
  })
}

/** Headers as home got them. */
async function arrived(headers: Record<string, string | string[]> = {}, path = '/probe/headers') {
  const { us, world } = regions
  const { json, status } = await send(us.port, path, {
    headers: { apikey: world.system.keyOf('umbrella'), ...headers },
  })
  expect(status).toBe(200)
  const list = json.raw as string[]
  const found: Record<string, string[]> = {}
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i]!.toLowerCase()
    found[name] = [...(found[name] ?? []), list[i + 1]!]
  }
  return { headers: found, url: json.url as string }
}

describe('forward', () => {
  test("another region's tenant is answered as if it had been asked at home", async () => {
    const { us, eu } = regions
    for (const path of ['/t/umbrella/rest/v1/tickets?limit=2', '/rest/v1/nothing', '/t/umbrella/rest/v1/']) {
      const home = await eu.ask(path, { as: 'umbrella' })
      const away = await us.ask(path, { as: 'umbrella' })
      expect(away.status).toBe(home.status)
      expect(away.text.replace(/urn:request:[^"]+/, '')).toEqual(home.text.replace(/urn:request:[^"]+/, ''))
      expect(away.headers['server-timing']).toMatch(/^hop;desc="eu";dur=[\d.]+$/)
      const { 'server-timing': _timing, ...rest } = away.headers
      expect(Object.keys(rest).sort()).toEqual(Object.keys(home.headers).sort())
      expect(rest.vary).toEqual(home.headers.vary)
    }
  })

  test('home proves the credential itself', async () => {
    const { us, world } = regions
    const forged = `${world.system.keyOf('umbrella').slice(0, -4)}AAAA`
    expect(await send(us.port, '/probe/headers', { headers: { apikey: forged } })).toMatchObject({
      status: 401,
      json: { code: 'unauthenticated' },
    })
    expect((await us.ask('/t/acme/probe/headers', { as: 'umbrella' })).json).toMatchObject({ code: 'tenant_mismatch' })
  })

  test('home knows the client, the request id and the host; what a client says of itself is not passed on', async () => {
    const { headers } = await arrived({
      'x-forwarded-for': '203.0.113.9',
      'x-forwarded-host': 'evil.example',
      forwarded: 'for=203.0.113.9',
      'x-request-id': 'my-request-1',
      'x-tenant-id': 'acme',
      'x-mine': ['one', 'two'],
      connection: 'keep-alive, x-dropped',
      'x-dropped': 'never arrives',
      te: 'trailers',
    })
    expect(headers).toMatchObject({
      'x-forwarded-for': ['127.0.0.1'],
      'x-request-id': ['my-request-1'],
      'x-mine': ['one', 'two'],
      'x-forwarded-host': [`localhost:${regions.us.port}`],
    })
    for (const name of ['forwarded', 'x-tenant-id', 'x-dropped', 'te', 'traceparent'])
      expect(headers).not.toHaveProperty(name)
    const line = regions.eu.logs.find((l) => l.request_id === 'my-request-1')
    expect(line).toMatchObject({ forwarded_from: 'us', client_ip: '127.0.0.1', tenant_slug: 'umbrella' })
    const here = regions.us.logs.find((l) => l.request_id === 'my-request-1')
    expect(here).toMatchObject({ forwarded_to: 'eu', tenant_slug: 'umbrella' })
  })

  test('a subdomain and a path name the tenant at home as they did here', async () => {
    const { us, world } = regions
    const headers = { apikey: world.system.keyOf('umbrella'), host: 'umbrella.us.localhost' }
    expect((await send(us.port, '/t/umbrella/probe/headers', { headers })).status).toBe(200)
    expect((await send(us.port, '/probe/headers?a=b%20c', { headers })).json.url).toMatch(/\/probe\/headers\?a=b%20c$/)
  })

  test('bodies arrive whole, with a length or in chunks; trailers do not', async () => {
    const { us, world } = regions
    const key = world.system.keyOf('umbrella')
    const sized = await us.ask('/probe/body', { as: 'umbrella', method: 'POST', body: 'with a length' })
    expect(sized.json).toEqual({ body: 'with a length', trailers: {} })
    const chunked = await raw(
      us.port,
      `POST /probe/body HTTP/1.1\r\nHost: x.localhost:1\r\nHost: localhost\r\n\r\n`
        .replace('Host: x.localhost:1\r\n', '')
        .replace(
          '\r\n\r\n',
          `\r\napikey: ${key}\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\nConnection: close\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nx-sum: 1\r\n\r\n`,
        ),
    )
    expect(chunked).toContain('HTTP/1.1 200')
    expect(chunked).toContain('{"body":"hello world","trailers":{}}')
  })

  test('a body whose length has two readings is refused, and never reaches home', async () => {
    const { us, world } = regions
    const head = `POST /probe/body HTTP/1.1\r\nHost: localhost\r\napikey: ${world.system.keyOf('umbrella')}\r\n`
    const smuggled = 'GET /probe/headers HTTP/1.1\r\nHost: localhost\r\n\r\n'
    const before = regions.eu.logs.length
    for (const framing of [
      'Content-Length: 4\r\nTransfer-Encoding: chunked',
      'Content-Length: 4\r\nContent-Length: 5',
      'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
      'Transfer-Encoding: gzip, chunked',
      'Transfer-Encoding: xchunked',
    ]) {
      const answer = await raw(us.port, `${head}${framing}\r\n\r\n0\r\n\r\n${smuggled}`)
      expect(answer, framing).toMatch(/^HTTP\/1\.1 400 /)
    }
    expect(regions.eu.logs.slice(before).filter((l) => l.msg === 'request')).toEqual([])
  })

  test('Expect: 100-continue is answered when the body is wanted, and not when it is not', async () => {
    const { us, world } = regions
    const ask = (slug: string) =>
      raw(
        us.port,
        `POST /probe/body HTTP/1.1\r\nHost: localhost\r\napikey: ${world.system.keyOf(slug)}\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello`,
      )
    expect(await ask('umbrella')).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[\s\S]*"body":"hello"/)
    expect(await ask('acme')).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[\s\S]*"body":"hello"/)
    expect(await ask('stark')).toMatch(/^HTTP\/1\.1 421 /)
    expect(await ask('globex')).toMatch(/^HTTP\/1\.1 307 /)
  })

  test('HEAD, 204 and 304 have no body, and keep their headers', async () => {
    const { us } = regions
    const head = await us.ask('/probe/headers', { as: 'umbrella', method: 'HEAD' })
    expect([head.status, head.text]).toEqual([200, ''])
    for (const status of [204, 304]) {
      const answer = await us.ask(`/probe/status/${status}`, { as: 'umbrella' })
      expect([answer.status, answer.text]).toEqual([status, ''])
      expect(answer.headers).toMatchObject({ etag: '"v1"', 'x-probe': 'a' })
    }
  })

  test('what home compressed is passed on as it is', async () => {
    const { us, eu, world } = regions
    const headers = { apikey: world.system.keyOf('umbrella'), 'accept-encoding': 'gzip' }
    const path = '/t/umbrella/rest/v1/'
    const [home, away] = [await send(eu.port, path, { headers }), await send(us.port, path, { headers })]
    expect(away.headers['content-encoding']).toBe('gzip')
    expect(away.headers['content-length']).toBe(home.headers['content-length'])
    expect(away.text).toBe(home.text)
  })

  test("headers of home's connection and trailers are not the client's", async () => {
    const answer = await regions.us.ask('/probe/trailers', { as: 'umbrella' })
    expect(answer).toMatchObject({ status: 200, text: 'with trailers' })
    for (const name of ['trailer', 'x-hop-mine', 'x-sum']) expect(answer.headers).not.toHaveProperty(name)
  })
})

describe('redirect', () => {
  const ask = (host: string, path: string, method = 'GET') =>
    send(regions.us.port, path, { method, headers: { apikey: regions.world.system.keyOf('globex'), host } })

  test('leads to the same path and query in the way that the tenant was named', async () => {
    const path = '/rest/v1/tickets?select=id&subject=eq.a%20b'
    const cases = [
      ['localhost', `/t/globex${path}`, `http://eu.localhost/t/globex${path}`],
      ['localhost', path, `http://eu.localhost${path}`],
      ['globex.us.localhost', path, `http://globex.eu.localhost${path}`],
    ] as const
    for (const [host, asked, location] of cases) {
      const answer = await ask(host, asked, 'POST')
      expect([answer.status, answer.headers.location, answer.text]).toEqual([307, location, ''])
    }
  })

  test("a customer's own domain leads to the region's host, since the domain leads here", async () => {
    const { control } = regions.world.system
    const { id } = await control.tenant('globex')
    await control.store.addDomain(id, 'desk.globex.example')
    expect((await ask('desk.globex.example', '/v1/whoami')).headers.location).toBe('http://eu.localhost/v1/whoami')
  })

  test('the address at home serves the request', async () => {
    const { location } = (await ask('globex.us.localhost', '/probe/headers')).headers
    const url = new URL(location!)
    const headers = { apikey: regions.world.system.keyOf('globex'), host: url.host }
    expect((await send(regions.eu.port, url.pathname, { headers })).status).toBe(200)
  })
})

describe('policies', () => {
  test("reject names the home region and nothing else; the tenant's own policy goes before its tier's", async () => {
    const { us, world } = regions
    const { control } = world.system
    expect(await us.ask('/probe/headers', { as: 'stark' })).toMatchObject({
      status: 421,
      json: { code: 'misdirected_region', region_url: 'http://eu.localhost' },
    })
    const expectSoon = (slug: string, status: number) =>
      expect
        .poll(async () => (await us.ask('/probe/headers', { as: slug })).status, { timeout: 2_000 * BUSY })
        .toBe(status)
    await control.setAway('stark', 'forward')
    await expectSoon('stark', 200)
    await control.setAway('stark', 'redirect')
    await expectSoon('stark', 307)
    await control.setAway('stark', null)
    await expectSoon('stark', 421)
  })

  test('a tenant that is kept to its region is not forwarded, although its tier says so', async () => {
    const { us, world } = regions
    const { control } = world.system
    const statusOf = async () => (await us.ask('/probe/headers', { as: 'umbrella' })).status
    expect(await statusOf()).toBe(200)
    await control.setResidency('umbrella', { profile: 'gdpr' })
    await expect.poll(statusOf, { timeout: 2_000 * BUSY }).toBe(421)
    await control.setResidency('umbrella', { profile: null })
    await expect.poll(statusOf, { timeout: 2_000 * BUSY }).toBe(200)
  })

  test('the region works both ways at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        n % 2 === 0
          ? regions.us.ask('/probe/headers', { as: 'umbrella' })
          : regions.eu.ask('/probe/headers', { as: 'acme' }),
      ),
    )
    expect(answers.map((a) => a.status)).toEqual(answers.map(() => 200))
  })
})
