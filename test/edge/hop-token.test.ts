import { createHmac, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createHmacOf } from '../../gateway/edge/away/hmac.ts'
import { createHopTokens, type Hop, type HopRequest } from '../../gateway/edge/away/hop-token.ts'
import type { TenantId } from '../../tiers/types.ts'
import { testConfig } from './support/gateway.ts'

const KEY = randomBytes(32)
const TTL_MS = 10_000
const hop: Hop = {
  tenant: '0190f3c2-0000-7000-8000-000000000001' as TenantId,
  from: 'us',
  to: 'eu',
  requestId: 'request-1',
  clientIp: '203.0.113.7',
}
const request: HopRequest = { method: 'POST', target: '/t/acme/rest/v1/tickets?id=eq.1', host: 'us.example.com' }

let nowMs = 1_800_000_000_000
function tokens(key: Buffer = KEY, keyPrevious: Buffer | null = null) {
  return createHopTokens({ ...testConfig().peering, key, keyPrevious, hopTtlMs: TTL_MS }, () => nowMs)!
}
const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'unauthenticated', message: expect.stringMatching(message) })
const opening = (token: string, region = 'eu', of: HopRequest = request, by = tokens()) => {
  try {
    return by.open(token, region, of)
  } catch (error) {
    return error
  }
}

test('a token says once, and at its region only, what was sealed', () => {
  const home = tokens()
  const token = tokens().seal(hop, request)
  expect(opening(token, 'us', request, home)).toEqual(refused(/another region/))
  expect(home.open(token, 'eu', request)).toEqual(hop)
  expect(opening(token, 'eu', request, home)).toEqual(refused(/used before/))
})

test('a token of another method, target or host is refused', () => {
  for (const other of [
    { method: 'DELETE' },
    { target: '/t/acme/rest/v1/tickets?id=eq.2' },
    { host: 'eu.example.com' },
  ]) {
    expect(opening(tokens().seal(hop, request), 'eu', { ...request, ...other })).toEqual(
      refused(/not one of this request/),
    )
  }
})

test('a token that was made by nobody with the key, or changed, is refused', () => {
  const [body, mac] = tokens().seal(hop, request).split('.')
  const stranger = tokens(randomBytes(32)).seal(hop, request)
  const changed = Buffer.from(
    JSON.stringify({ ...hop, clientIp: '127.0.0.1', nonce: 'n', expiresAtMs: nowMs + 1 }),
  ).toString('base64url')
  const unkeyed = createHmac('sha256', '')
    .update(`${body}\nPOST\n${request.target}\n${request.host}`)
    .digest('base64url')
  for (const token of [
    '',
    '.',
    body!,
    `${body}.`,
    `.${mac}`,
    stranger,
    `${changed}.${mac}`,
    `${body}.${mac}.x`,
    `${body}.${unkeyed}`,
    `${body}.${mac}, ${body}.${mac}`,
    'x'.repeat(100_000),
  ]) {
    expect(opening(token), token.slice(0, 40)).toEqual(refused(/not one of this request/))
  }
})

test('a token expires; one from a clock that runs far ahead is refused, a little is forgiven', () => {
  const home = tokens()
  const late = tokens().seal(hop, request)
  nowMs += TTL_MS
  expect(opening(late, 'eu', request, home)).toEqual(refused(/expired/))
  for (const [aheadMs, isGood] of [
    [4_000, true],
    [6_000, false],
  ] as const) {
    nowMs += aheadMs
    const early = tokens().seal(hop, request)
    nowMs -= aheadMs
    expect(opening(early, 'eu', request, home)).toEqual(isGood ? hop : refused(/expired/))
  }
})

test('a replay is refused for as long as the token would be good', () => {
  const home = tokens()
  const all = Array.from({ length: 5 }, () => tokens().seal(hop, request))
  for (const token of all) expect(home.open(token, 'eu', request)).toEqual(hop)
  for (let ms = 0; ms < TTL_MS; ms += 500) {
    for (const token of all) expect(opening(token, 'eu', request, home)).toEqual(refused(/used before/))
    nowMs += 500
  }
})

test('the key before a rotation is still accepted, and no longer used', () => {
  const next = randomBytes(32)
  expect(tokens(next, KEY).open(tokens(KEY).seal(hop, request), 'eu', request)).toEqual(hop)
  expect(opening(tokens(next, KEY).seal(hop, request))).toEqual(refused(/not one of this request/))
})

test('without a key there are no tokens', () => {
  expect(createHopTokens({ ...testConfig().peering, key: null }, Date.now)).toBeNull()
})

test('the digest is that of the platform, for any key and text', () => {
  for (const bytes of [0, 1, 32, 63, 64]) {
    const key = randomBytes(bytes)
    const digestOf = createHmacOf(key)
    for (const text of ['', 'a', 'Çelik ☃ 😀', 'x'.repeat(10_000)]) {
      expect(digestOf(text)).toBe(createHmac('sha256', key).update(text).digest('base64url'))
    }
  }
  expect(() => createHmacOf(randomBytes(65))).toThrow(RangeError)
})
