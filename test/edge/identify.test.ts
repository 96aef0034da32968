import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Tenant } from '../../tiers/types.ts'
import { waitUntil } from '../support/wait.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { World } from './support/world.ts'

const world = new World()
let stranger: TestGateway
let proxied: TestGateway
let acme: Tenant
let globex: Tenant
let acmeKey: string

beforeAll(async () => {
  acme = world.tenant('acme')
  globex = world.tenant('globex')
  world.domains.set('support.acme.test', acme.id)
  world.domains.set('help.globex.test', globex.id)
  acmeKey = world.key(acme)
  stranger = await startGateway({ world })
  proxied = await startGateway({
    world,
    config: { identify: { baseDomains: ['localhost'], trustedPeers: ['127.0.0.0/8'] } },
  })
})
afterAll(() => Promise.all([stranger.close(), proxied.close()]))
beforeEach(() => {
  world.calls.length = 0
})

const who = (headers: Record<string, string | string[]> = {}, path = '/v1/whoami', gateway = stranger) =>
  gateway.ask(path, { apikey: acmeKey, ...headers })

describe('what names the tenant', () => {
  test.each([
    ['a custom domain', { host: 'support.acme.test' }, '/v1/whoami'],
    [
      'a custom domain in capitals, with a port and a dot at the end',
      { host: 'Support.ACME.test.:8443' },
      '/v1/whoami',
    ],
    ['a subdomain', { host: 'acme.example.com' }, '/v1/whoami'],
    ['a subdomain of localhost', { host: 'acme.localhost:8080' }, '/v1/whoami'],
    ['the path', {}, '/t/acme/v1/whoami'],
    ['the key, at the region host', { host: 'us.example.com' }, '/v1/whoami'],
    ['the key, at a base domain', { host: 'example.com' }, '/v1/whoami'],
    ['the key, at an IPv4 address', { host: '127.0.0.1:80' }, '/v1/whoami'],
    ['the key, at an IPv6 address', { host: '[::1]:80' }, '/v1/whoami'],
    ['the key, at the name of a service in a cluster', { host: 'innkeeper-us:8080' }, '/v1/whoami'],
  ])('%s', async (_name, headers, path) => {
    const answer = await who(headers, path)
    expect(answer.json?.tenant?.slug, answer.text).toBe('acme')
  })

  test('identifiers that agree cost one look-up', async () => {
    await who({ host: 'acme.example.com' }, '/t/acme/v1/whoami')
    expect(world.calls).toEqual(['byId', 'verify'])
  })
})

describe('identifiers that disagree with the credential are a mismatch', () => {
  test.each([
    ['domain', { host: 'help.globex.test' }, '/v1/whoami'],
    ['subdomain', { host: 'globex.example.com' }, '/v1/whoami'],
    ['path', {}, '/t/globex/v1/whoami'],
    ['subdomain right, path wrong', { host: 'acme.example.com' }, '/t/globex/v1/whoami'],
    ['path right, domain wrong', { host: 'help.globex.test' }, '/t/acme/v1/whoami'],
  ])('%s', async (_name, headers, path) => {
    const answer = await who(headers, path)
    expect(answer.status).toBe(403)
    expect(answer.json.code).toBe('tenant_mismatch')
  })
})

describe('an identifier that names nobody is an unknown tenant', () => {
  test.each([
    ['domain', { host: 'nobody.test' }, '/v1/whoami'],
    ['subdomain', { host: 'nobody.example.com' }, '/v1/whoami'],
    ['path', {}, '/t/nobody/v1/whoami'],
  ])('%s', async (_name, headers, path) => {
    const answer = await who(headers, path)
    expect(answer.status).toBe(404)
    expect(answer.json.code).toBe('tenant_not_found')
  })
})

describe('an identifier that is malformed never falls through to the next', () => {
  test.each([
    ['a subdomain of two labels', { host: 'a.acme.example.com' }, '/v1/whoami'],
    ['a subdomain that begins with an underscore', { host: '_acme.example.com' }, '/v1/whoami'],
    ['no slug', {}, '/t//v1/whoami'],
    ['a slug in capitals', {}, '/t/Acme/v1/whoami'],
    ['a slug with a dash at its end', {}, '/t/acme-/v1/whoami'],
    ['a slug of 64 letters', {}, `/t/${'a'.repeat(64)}/v1/whoami`],
    ['a percent-encoded slug', {}, '/t/%61cme/v1/whoami'],
    ['a twice encoded slug', {}, '/t/%2561cme/v1/whoami'],
    ['an encoded prefix', {}, '/%74/acme/v1/whoami'],
    ['an encoded slash in the slug', {}, '/t/acme%2Fglobex/v1/whoami'],
    ['an encoded NUL in the slug', {}, '/t/acme%00/v1/whoami'],
    ['a fullwidth slug', {}, '/t/%EF%BD%81cme/v1/whoami'],
    ['an overlong encoding', {}, '/t/%C1%A1cme/v1/whoami'],
    ['a userinfo in the host', { host: 'acme@globex.example.com' }, '/v1/whoami'],
    ['a comma in the host', { host: 'acme.example.com, globex.example.com' }, '/v1/whoami'],
    ['a path in the host', { host: 'acme.example.com/x' }, '/v1/whoami'],
    ['a percent sign in the host', { host: 'acme%2eexample.com' }, '/v1/whoami'],
    ['an empty label in the host', { host: 'acme..example.com' }, '/v1/whoami'],
    ['a host of 300 characters', { host: `${'a.'.repeat(150)}example.com` }, '/v1/whoami'],
    ['a port that is none', { host: 'acme.example.com:99999' }, '/v1/whoami'],
  ])('%s', async (_name, headers, path) => {
    const answer = await who(headers, path)
    expect(answer.status, answer.text).toBe(400)
    expect(answer.json.code).toBe('invalid_request')
    expect(world.calls).toEqual([])
  })

  test('two Host headers', async () => {
    const rawHeaders = ['Host', 'acme.example.com', 'Host', 'globex.example.com', 'apikey', acmeKey]
    const answer = await stranger.ask('/v1/whoami', {}, { rawHeaders })
    expect(answer.status).toBe(400)
  })

  test('a request line that names another host than the Host header', async () => {
    const answer = await who({ host: 'acme.example.com' }, 'http://globex.example.com/v1/whoami')
    expect(answer.status).toBe(400)
  })

  test('two apikey headers', async () => {
    const answer = await who({ apikey: [acmeKey, world.key(globex)] })
    expect(answer.status).toBe(401)
  })

  test('two Authorization headers', async () => {
    const rawHeaders = [
      'Host',
      'localhost',
      'Authorization',
      `Bearer ${acmeKey}`,
      'Authorization',
      `Bearer ${world.key(globex)}`,
    ]
    const answer = await stranger.ask('/v1/whoami', {}, { rawHeaders })
    expect(answer.status).toBe(401)
  })
})

describe('a path is read once, so that the router and the identification cannot disagree', () => {
  test.each([
    ['/t/globex/../acme/v1/whoami', 200],
    ['/t/globex/%2e%2e/acme/v1/whoami', 200],
    ['/t/acme/t/globex/v1/whoami', 404],
    ['//t/globex/v1/whoami', 404],
    ['/T/globex/v1/whoami', 404],
    ['/v1/../t/globex/v1/whoami', 403],
    ['/t\\globex/v1/whoami', 400],
  ])('%s', async (path, status) => {
    const answer = await who({}, path)
    expect(answer.status, answer.text).toBe(status)
  })

  test('the prefix is not part of the route', async () => {
    expect((await who({}, '/t/acme/echo?x=1')).json.path).toBe('/echo')
  })
})

describe('headers that speak for others', () => {
  test('X-Tenant-ID from a stranger is as if it were not there', async () => {
    for (const id of ['globex', globex.id, 'nobody', '!!']) {
      expect((await who({ 'x-tenant-id': id })).json?.tenant?.slug).toBe('acme')
    }
  })

  test('X-Tenant-ID from a trusted peer names the tenant, by slug or by id', async () => {
    for (const id of ['acme', acme.id]) {
      expect((await who({ 'x-tenant-id': id }, '/v1/whoami', proxied)).status).toBe(200)
    }
    for (const id of ['globex', globex.id]) {
      expect((await who({ 'x-tenant-id': id }, '/v1/whoami', proxied)).json.code).toBe('tenant_mismatch')
    }
    expect((await who({ 'x-tenant-id': 'nobody' }, '/v1/whoami', proxied)).json.code).toBe('tenant_not_found')
    expect((await who({ 'x-tenant-id': 'Ac me' }, '/v1/whoami', proxied)).json.code).toBe('invalid_request')
    expect((await who({ 'x-tenant-id': ['acme', 'globex'] }, '/v1/whoami', proxied)).json.code).toBe('invalid_request')
  })

  test('X-Forwarded-Host is believed from a trusted peer alone', async () => {
    const headers = { 'x-forwarded-host': 'help.globex.test' }
    expect((await who(headers)).status).toBe(200)
    expect((await who(headers, '/v1/whoami', proxied)).json.code).toBe('tenant_mismatch')
    expect((await who({ 'x-forwarded-host': 'a.test, b.test' }, '/v1/whoami', proxied)).status).toBe(400)
  })

  test('the client address is found from right to left, no further than trusted hops vouch for it', async () => {
    const seen = async (gateway: TestGateway, forwarded: string) => {
      const before = gateway.logs.length
      await who({ 'x-forwarded-for': forwarded }, '/v1/whoami', gateway)
      await waitUntil('the line about it', () => gateway.logs.length > before)
      return gateway.logs.at(-1)?.client_ip
    }
    expect(await seen(stranger, '9.9.9.9')).toBe('127.0.0.1')
    expect(await seen(proxied, '6.6.6.6, 9.9.9.9')).toBe('9.9.9.9')
    expect(await seen(proxied, '6.6.6.6, 9.9.9.9, 127.0.0.5')).toBe('9.9.9.9')
    expect(await seen(proxied, '6.6.6.6, garbage')).toBe('127.0.0.1')
    expect(await seen(proxied, '::ffff:9.9.9.9')).toBe('9.9.9.9')
  })
})

test('a request without a credential looks nothing up, whoever it names', async () => {
  const answers = await Promise.all([
    stranger.ask('/t/acme/v1/whoami'),
    stranger.ask('/t/nobody/v1/whoami'),
    stranger.ask('/v1/whoami', { host: 'support.acme.test' }),
  ])
  for (const answer of answers) {
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
  }
  expect(world.calls).toEqual([])
})

test('where credentials do not identify, something else must', async () => {
  const gateway = await startGateway({ world, config: { identify: { strategies: ['path'] } } })
  expect((await who({}, '/v1/whoami', gateway)).status).toBe(404)
  expect((await who({}, '/t/acme/v1/whoami', gateway)).status).toBe(200)
  await gateway.close()
})

test('a trusted peer that is no address is a fault of the configuration', async () => {
  for (const peer of ['loadbalancer', '10.0.0.0/33', '10.0.0.1/8/8']) {
    await expect(startGateway({ config: { identify: { trustedPeers: [peer] } } })).rejects.toThrow(/trustedPeers/)
  }
})
