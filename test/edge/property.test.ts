import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeKeyText } from '../../tiers/keys/text.ts'
import type { Tenant } from '../../tiers/types.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { type Issuer, startIssuer } from './support/issuer.ts'
import { World } from './support/world.ts'

const world = new World()
const names = ['acme', 'globex', 'initech'] as const
const tenants = new Map<string, Tenant>()
const keys = new Map<string, string>()
const tokens = new Map<string, string>()
let issuer: Issuer
let stranger: TestGateway
let proxied: TestGateway

beforeAll(async () => {
  issuer = await startIssuer()
  for (const slug of names) {
    const tenant = world.tenant(slug)
    tenants.set(slug, tenant)
    keys.set(slug, world.key(tenant))
    tokens.set(slug, await issuer.sign({ sub: `user-${slug}`, tenant: slug }))
    world.domains.set(`${slug}.customer.test`, tenant.id)
  }
  const jwt = [{ issuer: issuer.issuer, jwksUrl: issuer.jwksUrl, audience: 'innkeeper' }]
  const base = { baseDomains: ['example.com'] }
  stranger = await startGateway({ world, config: { jwt, identify: base } })
  proxied = await startGateway({ world, config: { jwt, identify: { ...base, trustedPeers: ['127.0.0.1'] } } })
})
afterAll(() => Promise.all([stranger.close(), proxied.close(), issuer.close()]))

/** How an identifier may come: naming one of the tenants, naming nobody, malformed, or not at all. */
const named = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<string>(...names) },
  { weight: 1, arbitrary: fc.constantFrom('nobody', 'Acme', 'a'.repeat(64), '-x', '%61cme', 'acme.globex') },
  { weight: 4, arbitrary: fc.constant(null) },
)
const credential = fc.oneof(
  { weight: 4, arbitrary: fc.record({ of: fc.constantFrom<string>(...names), as: fc.constantFrom('key', 'token') }) },
  {
    weight: 1,
    arbitrary: fc.record({ of: fc.constantFrom<string>(...names), as: fc.constantFrom('bad key', 'bad token') }),
  },
  { weight: 2, arbitrary: fc.constant(null) },
)

const textOf = ({ of, as }: { of: string; as: string }): string => {
  if (as === 'key') return keys.get(of)!
  if (as === 'token') return tokens.get(of)!
  if (as === 'bad key') return makeKeyText(tenants.get(of)!.id)
  return `${tokens.get(of)!.slice(0, -4)}AAAA`
}

const hosts = fc.constantFrom('subdomain', 'domain') as fc.Arbitrary<'subdomain' | 'domain'>
const requests = fc.record({
  host: fc.record({ kind: hosts, name: named }),
  forwarded: fc.record({ kind: hosts, name: named }),
  path: named,
  header: fc.oneof(
    named,
    fc.constantFrom(...names).map((slug) => `id of ${slug}`),
  ),
  apikey: credential,
  bearer: credential,
  isProxied: fc.boolean(),
})

const hostOf = ({ kind, name }: { kind: string; name: string | null }) =>
  name === null ? 'example.com' : `${name}.${kind === 'domain' ? 'customer.test' : 'example.com'}`

test('no combination of identifiers reaches a tenant that the credential does not name', {
  timeout: 120_000,
}, async () => {
  const reached = new Set<string>()
  let refused = 0
  await fc.assert(
    fc.asyncProperty(requests, async (r) => {
      const gateway = r.isProxied ? proxied : stranger
      const headers: Record<string, string> = { host: hostOf(r.host) }
      if (r.forwarded.name !== null) headers['x-forwarded-host'] = hostOf(r.forwarded)
      if (r.header !== null) {
        headers['x-tenant-id'] = r.header.startsWith('id of ') ? tenants.get(r.header.slice(6))!.id : r.header
      }
      if (r.apikey !== null) headers.apikey = textOf(r.apikey)
      if (r.bearer !== null) headers.authorization = `Bearer ${textOf(r.bearer)}`
      const { status, json } = await gateway.ask(r.path === null ? '/v1/whoami' : `/t/${r.path}/v1/whoami`, headers)

      const credentials = [r.apikey, r.bearer].filter((c) => c !== null)
      const proven = new Set(credentials.map((c) => c.of))
      if (status === 200) {
        // Every credential is good, all name one tenant, and it is the tenant that was reached.
        expect(credentials.every((c) => !c.as.startsWith('bad')) && credentials.length > 0).toBe(true)
        expect([...proven]).toEqual([json.tenant.slug])
        const host = r.isProxied && r.forwarded.name !== null ? r.forwarded : r.host
        // A host has no case; everything else has.
        const identifiers = [
          host.name?.toLowerCase() ?? null,
          r.path,
          r.isProxied ? (r.header?.replace('id of ', '') ?? null) : null,
        ]
        for (const name of identifiers) if (name !== null) expect(name).toBe(json.tenant.slug)
        reached.add(json.tenant.slug)
      } else {
        expect([400, 401, 403, 404, 429]).toContain(status)
        refused++
      }
    }),
    { numRuns: 3_000 },
  )
  // A property that never lets anybody in, or never keeps anybody out, has shown nothing.
  expect(reached.size).toBe(names.length)
  expect(refused).toBeGreaterThan(100)
})
