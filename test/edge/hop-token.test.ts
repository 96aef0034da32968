import { createHmac, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { RegionConfig } from '../../config/index.ts'
import { publicKeyOf } from '../../config/x25519.ts'
import { createHmacOf } from '../../gateway/edge/away/hmac.ts'
import { createHopKeys } from '../../gateway/edge/away/hop-keys.ts'
import { createHopTokens, type Hop, type HopRequest, type HopTokens } from '../../gateway/edge/away/hop-token.ts'
import { ownNonces } from '../../gateway/edge/away/nonces.ts'
import type { TenantId } from '../../tiers/types.ts'

type Name = 'us' | 'eu' | 'ap'
const KEYS: Record<Name, Buffer> = { us: randomBytes(32), eu: randomBytes(32), ap: randomBytes(32) }
const TTL_MS = 10_000
const sealed = {
  tenant: '0190f3c2-0000-7000-8000-000000000001' as TenantId,
  to: 'eu',
  requestId: 'request-1',
  clientIp: '203.0.113.7',
}
const hop: Hop = { ...sealed, from: 'us' }
const request: HopRequest = {
  method: 'POST',
  target: '/t/acme/rest/v1/tickets?id=eq.1',
  host: 'us.example.com',
  headers: ['host', 'eu.internal', 'apikey', 'ink_1', 'content-type', 'application/json', 'accept', '*/*'],
}

let nowMs = 1_800_000_000_000

interface Keys {
  /** What everybody believes to be the public halves of a region's keys; those of {@link KEYS} where left out. */
  readonly known?: Partial<Record<Name, readonly Buffer[]>>
  /** What this gateway signs and opens with. */
  readonly own?: readonly Buffer[]
}

/** What a gateway of the region has. */
function tokens(region: Name, { known = {}, own = [KEYS[region]] }: Keys = {}): HopTokens {
  const regions = new Map(
    (Object.keys(KEYS) as Name[]).map((name) => {
      const publicKeys = (known[name] ?? [KEYS[name]]).map(publicKeyOf)
      return [name, { peering: { publicKeys, keys: name === region ? own : [] } } as unknown as RegionConfig]
    }),
  )
  const now = () => nowMs
  return createHopTokens({
    keys: createHopKeys({ regions }, region)!,
    nonces: ownNonces(TTL_MS + 5_000, now),
    hopTtlMs: TTL_MS,
    now,
  })
}
const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'unauthenticated', message: expect.stringMatching(message) })
const opening = (token: string, by: HopTokens = tokens('eu'), of: HopRequest = request): Promise<unknown> =>
  by.open(token, of).catch((error: unknown) => error)
const seal = (by: HopTokens = tokens('us')) => by.seal(sealed, request)

test('a token says once, and at its region only, what was sealed', async () => {
  const home = tokens('eu')
  const token = seal()
  expect(await opening(token, tokens('ap'))).toEqual(refused(/another region/))
  expect(await opening(token, tokens('us'))).toEqual(refused(/another region/))
  expect(await home.open(token, request)).toEqual(hop)
  expect(await opening(token, home)).toEqual(refused(/used before/))
})

test('a token of another method, target, host, credential or kind of body is refused', async () => {
  const headers = (change: (all: string[]) => void) => {
    const all = [...request.headers]
    change(all)
    return { headers: all }
  }
  for (const other of [
    { method: 'DELETE' },
    { target: '/t/acme/rest/v1/tickets?id=eq.2' },
    { host: 'eu.example.com' },
    headers((all) => all.splice(3, 1, 'ink_2')),
    headers((all) => all.splice(2, 2)),
    headers((all) => all.push('apikey', 'ink_2')),
    headers((all) => all.push('Authorization', 'Bearer x')),
    headers((all) => all.push('X-Tenant-ID', 'hooli')),
    headers((all) => all.push('content-encoding', 'gzip')),
    headers((all) => all.splice(3, 1, 'ink_1+ink_1')),
    headers((all) => all.splice(2, 1, 'authorization')),
    headers((all) => all.splice(5, 1, 'text/csv')),
  ]) {
    expect(await opening(seal(), tokens('eu'), { ...request, ...other })).toEqual(refused(/not one of this request/))
  }
  const twice = [...request.headers, 'apikey', 'ink_2']
  const one = headers((all) => all.splice(3, 1, 'ink_1+ink_2'))
  const of = tokens('us').seal(sealed, { ...request, headers: twice })
  expect(await opening(of, tokens('eu'), { ...request, ...one })).toEqual(refused(/not one of this request/))
  const { headers: more } = headers((all) => all.push('via', '1.1 proxy', 'x-forwarded-for', '10.0.0.1'))
  expect(await opening(seal(), tokens('eu'), { ...request, headers: more })).toEqual(hop)
})

test('a token that was made by nobody with the key, or changed, is refused', async () => {
  const [id, facts, mac] = seal().split('.')
  const stranger = seal(tokens('us', { own: [randomBytes(32)] }))
  const changed = Buffer.from(
    JSON.stringify({ ...sealed, clientIp: '127.0.0.1', nonce: 'n', expiresAtMs: nowMs + 1 }),
  ).toString('base64url')
  const unkeyed = createHmac('sha256', '').update(`${id}.${facts}\nPOST\n${request.target}`).digest('base64url')
  for (const token of [
    '',
    '.',
    '..',
    id!,
    `${id}.${facts}`,
    `${id}.${facts}.`,
    `${id}..${mac}`,
    `.${facts}.${mac}`,
    stranger,
    `${id}.${stranger.split('.').slice(1).join('.')}`,
    `${id}.${changed}.${mac}`,
    `${id}.${facts}.${mac}.x`,
    `${id}.${facts}.${unkeyed}`,
    `${id}.${facts}.${mac}, ${id}.${facts}.${mac}`,
    'x'.repeat(100_000),
  ]) {
    expect(await opening(token), token.slice(0, 60)).toEqual(refused(/is none|not known here|not one of this request/))
  }
})

describe('whoever has the key of one region', () => {
  /** With ap's key alone, and all that is public, as if it were another region's gateway. */
  const thief = (as: Name) => tokens(as, { own: [KEYS.ap] })

  test('cannot speak for another one to a third', async () => {
    expect(await opening(seal(thief('us')))).toEqual(refused(/not one of this request/))
    const [, ...rest] = seal(thief('us')).split('.')
    const [id] = seal().split('.')
    expect(await opening([id, ...rest].join('.'))).toEqual(refused(/not one of this request/))
  })

  test('is known by its own name, whatever it says', async () => {
    expect(await opening(seal(tokens('ap')))).toEqual({ ...hop, from: 'ap' })
    // The same two keys, taken for another direction: no token comes back as one of the other side.
    const toAp = tokens('eu').seal({ ...sealed, to: 'ap' }, request)
    expect(await opening(toAp, tokens('eu'))).toEqual(refused(/another region/))
    const [there, ...facts] = toAp.split('.')
    const [theirs, ours] = there!.split('~')
    expect(await opening([`${ours}~${theirs}`, ...facts].join('.'), tokens('eu'))).toEqual(
      refused(/not one of this request/),
    )
  })

  test('does not use up the nonces of others', async () => {
    const home = tokens('eu')
    const token = seal()
    const { nonce } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { nonce: string }
    const spent: string[] = []
    const spying = createHopTokens({
      keys: createHopKeys({ regions: regionsOf('eu') }, 'eu')!,
      nonces: { use: async (n) => spent.push(n) > 0 },
      hopTtlMs: TTL_MS,
      now: () => nowMs,
    })
    await spying.open(token, request)
    expect(spent).toEqual([`us.${nonce}`])
    expect(await opening(token, home)).toEqual(hop)
  })
})

function regionsOf(region: Name): ReadonlyMap<string, RegionConfig> {
  return new Map(
    (Object.keys(KEYS) as Name[]).map((name) => [
      name,
      {
        peering: { publicKeys: [publicKeyOf(KEYS[name])], keys: name === region ? [KEYS[name]] : [] },
      } as unknown as RegionConfig,
    ]),
  )
}

test('a token expires; one from a clock that runs far ahead is refused, a little is forgiven', async () => {
  const home = tokens('eu')
  const late = seal()
  nowMs += TTL_MS
  expect(await opening(late, home)).toEqual(refused(/expired/))
  for (const [aheadMs, isGood] of [
    [4_000, true],
    [6_000, false],
  ] as const) {
    nowMs += aheadMs
    const early = seal()
    nowMs -= aheadMs
    expect(await opening(early, home)).toEqual(isGood ? hop : refused(/expired/))
  }
})

test('a replay is refused for as long as the token would be good', async () => {
  const home = tokens('eu')
  const all = Array.from({ length: 5 }, () => seal())
  for (const token of all) expect(await home.open(token, request)).toEqual(hop)
  for (let ms = 0; ms < TTL_MS; ms += 500) {
    for (const token of all) expect(await opening(token, home)).toEqual(refused(/used before/))
    nowMs += 500
  }
})

describe('a rotation', () => {
  const next = randomBytes(32)
  // In the order of the README; gateways of one step work beside those of the step before.
  const steps: { known: readonly Buffer[]; own: readonly Buffer[] }[] = [
    { known: [KEYS.us], own: [KEYS.us] },
    { known: [KEYS.us, next], own: [KEYS.us] },
    { known: [KEYS.us, next], own: [next, KEYS.us] },
    { known: [next], own: [next, KEYS.us] },
    { known: [next], own: [next] },
  ]
  const us = ({ known, own }: (typeof steps)[number]) => tokens('us', { known: { us: known }, own })
  const eu = ({ known }: (typeof steps)[number]) => tokens('eu', { known: { us: known } })

  test('refuses nothing at any step, in either direction', async () => {
    for (const [i, step] of steps.entries()) {
      for (const other of steps.slice(Math.max(0, i - 1), i + 2)) {
        expect(await opening(seal(us(step)), eu(other))).toEqual(hop)
        const back = eu(other).seal({ ...sealed, to: 'us' }, request)
        expect(await opening(back, us(step))).toEqual({ ...hop, from: 'eu', to: 'us' })
      }
    }
  })

  test('ends with the old key believed no more', async () => {
    expect(await opening(seal(us(steps[0]!)), eu(steps.at(-1)!))).toEqual(refused(/not known here/))
    const back = eu(steps[0]!).seal({ ...sealed, to: 'us' }, request)
    expect(await opening(back, us(steps.at(-1)!))).toEqual(refused(/another region/))
  })
})

test('without a key of its own a region has no tokens', () => {
  expect(createHopKeys({ regions: regionsOf('eu') }, 'us')).toBeNull()
})

test('a public key that would make a secret that everybody knows is a fault', () => {
  const regions = new Map(regionsOf('us'))
  regions.set('eu', { peering: { publicKeys: [Buffer.alloc(32)], keys: [] } } as unknown as RegionConfig)
  expect(() => createHopKeys({ regions }, 'us')).toThrow('regions.eu.peering.publicKeys')
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
