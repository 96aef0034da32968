import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHopKeys } from '../../gateway/edge/away/hop-keys.ts'
import { createHopTokens, HOP_HEADER } from '../../gateway/edge/away/hop-token.ts'
import { ownNonces } from '../../gateway/edge/away/nonces.ts'
import type { TenantId } from '../../tiers/types.ts'
import type { TestRegion } from '../support/system.ts'
import { probeRoutes } from './probe-routes.ts'
import { send } from './support.ts'
import { startTwoRegions, type TwoRegions } from './two-regions.ts'

let regions: TwoRegions
let idOf: (slug: string) => Promise<TenantId>
beforeAll(async () => {
  regions = await startTwoRegions({ routes: probeRoutes() })
  idOf = async (slug) => (await regions.world.system.control.tenant(slug)).id
}, 120_000)
afterAll(() => regions?.close())

const PATH = '/probe/headers'

interface Forged {
  readonly tenant?: string
  /** Whose key signs, where it is another one than the region has. */
  readonly key?: Buffer
  readonly from?: TestRegion
  readonly to?: TestRegion
  readonly nowMs?: number
  readonly target?: string
  /** Whose credential the request has; null for none. */
  readonly as?: string | null
}

/** A token as only a gateway can make one, but for what is said. */
async function token({ tenant = 'umbrella', from = 'us', to = 'eu', ...rest }: Forged = {}) {
  const { key, nowMs = Date.now(), target = PATH, as = 'umbrella' } = rest
  const { regions: configured, peering } = regions.world.system.gatewayConfig(from)
  const own = configured.get(from)!
  const forged = key && { ...own, peering: { ...own.peering, keys: [key] } }
  const keys = createHopKeys({ regions: new Map(configured).set(from, forged ?? own) }, from)!
  const tokens = createHopTokens({
    keys,
    nonces: ownNonces(1_000, Date.now),
    hopTtlMs: peering.hopTtlMs,
    now: () => nowMs,
  })
  return tokens.seal(
    { tenant: await idOf(tenant), to, requestId: 'request-1', clientIp: '203.0.113.7' },
    {
      method: 'GET',
      target,
      host: 'localhost',
      headers: as === null ? [] : ['apikey', regions.world.system.keyOf(as)],
    },
  )
}

/** As a peer would ask the region's gateway. */
const askWith = (region: 'us' | 'eu', hopToken: string | string[], as = 'umbrella', path = PATH) =>
  send(regions[region].port, path, {
    headers: { host: 'localhost', apikey: regions.world.system.keyOf(as), [HOP_HEADER]: hopToken },
  })

test("home believes a peer's word for the client, and only a peer's", async () => {
  const answer = await askWith('eu', await token())
  expect(answer.status).toBe(200)
  const line = regions.eu.logs.find((l) => l.request_id === answer.headers['x-request-id'])
  expect(line).toMatchObject({ client_ip: '203.0.113.7', forwarded_from: 'us' })
})

test('a forged, expired, replayed or misused token is 401, at home and away', async () => {
  const good = await token()
  expect((await askWith('eu', good)).status).toBe(200)
  const bad = {
    replayed: good,
    forged: await token({ key: randomBytes(32) }),
    expired: await token({ nowMs: Date.now() - 11_000 }),
    'of another path': await token({ target: '/t/umbrella/rest/v1/tickets' }),
    'for another region': await token({ from: 'eu', to: 'us' }),
    'with another credential': await token({ as: 'globex' }),
    nonsense: 'nonsense',
    empty: '',
    twice: [await token(), await token()],
  }
  for (const [what, text] of Object.entries(bad)) {
    expect(await askWith('eu', text), what).toMatchObject({ status: 401, json: { code: 'unauthenticated' } })
  }
  // From a client it is as bad on the way out: it is never passed on, nor replaced.
  for (const text of [await token(), await token({ key: randomBytes(32), from: 'eu', to: 'us' }), 'nonsense'])
    expect((await askWith('us', text)).status).toBe(401)
})

test('a request that was forwarded is never forwarded again', async () => {
  const { made } = regions.taps.eu.connections()
  const answer = await askWith('us', await token({ from: 'eu', to: 'us' }))
  expect(answer).toMatchObject({ status: 421, json: { code: 'misdirected_region', region_url: 'http://eu.localhost' } })
  expect(regions.taps.eu.connections().made).toBe(made)
})

test('two gateways that each take the other for home send a request to and fro no more than once', async () => {
  const { control } = regions.world.system
  // A peer's address that leads back to where the request came from.
  regions.taps.eu.target = regions.us.port
  regions.taps.eu.cutAll()
  const answer = await regions.us.ask(PATH, { as: 'umbrella' })
  expect(answer.status).toBe(401)
  expect(answer.json.message).toBe('The hop token is meant for another region')
  regions.taps.eu.target = regions.eu.port
  regions.taps.eu.cutAll()
  expect((await control.tenant('umbrella')).region).toBe('eu')
})

test('a token for one tenant does not carry the credential of another', async () => {
  const answer = await askWith('eu', await token({ tenant: 'globex' }))
  expect(answer).toMatchObject({ status: 403, json: { code: 'tenant_mismatch' } })
})

test('a token is no credential', async () => {
  const answer = await send(regions.eu.port, PATH, {
    headers: { host: 'localhost', [HOP_HEADER]: await token({ as: null }) },
  })
  expect(answer).toMatchObject({ status: 401, json: { message: 'There is no credential' } })
})

test('a client cannot have the hop token of its request: home never sends it back', async () => {
  const answer = await regions.us.ask(PATH, { as: 'umbrella' })
  expect(Object.keys(answer.headers)).not.toContain(HOP_HEADER)
})

test('guessing keys through a forwarding gateway ends in 429, as it does at home', async () => {
  const { world, us } = regions
  // One that nobody has proved from this address.
  await world.system.control.setAway('stark', 'forward')
  const statuses = new Set<number>()
  for (let n = 0; n < 70; n++) {
    const apikey = world.system.keyOf('stark').slice(0, -4) + randomBytes(2).toString('hex')
    statuses.add((await send(us.port, PATH, { headers: { apikey } })).status)
  }
  statuses.delete(421)
  expect([...statuses].sort()).toEqual([401, 429])
})

test('who made a key up and sends no body keeps nobody from the region', async () => {
  const { world, us } = regions
  const apikey = `${world.system.keyOf('umbrella').slice(0, -4)}AAAA`
  const head = `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\napikey: ${apikey}\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n`
  const { connectionsMax } = world.system.gatewayConfig('us').peering
  const idle = await Promise.all(
    Array.from({ length: connectionsMax }, async () => {
      const socket = connect(us.port, '127.0.0.1', () => socket.write(head))
      expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1.1 100 /)
      return socket
    }),
  )
  expect((await us.ask(PATH, { as: 'umbrella' })).status).toBe(200)
  for (const socket of idle) socket.destroy()
})
