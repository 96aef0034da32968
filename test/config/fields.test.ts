import { expect, test } from 'vitest'
import { ConfigError, type ConfigInput, resolveConfig } from '../../config/index.ts'
import input from '../../config/innkeeper.config.ts'

/** What is said of the configuration's own fields; what is missing in the environment is another matter. */
function faults(more: Partial<ConfigInput>): string[] {
  try {
    resolveConfig({ ...input, ...more }, { kind: 'gateway', region: 'us' }, {})
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map((f) => f.where).filter((where) => where.includes('.'))
    throw error
  }
  return []
}

const regionAt = (address: object) => ({ regions: { ...input.regions, us: { ...input.regions.us!, ...address } } })

test.each([
  'localhost:8080',
  'ftp://us.example.com',
  'https://u:p@us.example.com',
  'https://us.example.com/?a=1',
  'us',
])('an address that nobody could be sent to is told where it stands, and not by a request: %s', (url) => {
  expect(faults(regionAt({ url }))).toEqual(['regions.us.url'])
  expect(faults(regionAt({ peerUrl: url }))).toEqual(['regions.us.peerUrl'])
  expect(faults({ telemetry: { otlpUrl: url } })).toEqual(['telemetry.otlpUrl'])
})

test('an address may have a port and a path, and that of keys a query', () => {
  expect(faults(regionAt({ url: 'http://localhost:8080', peerUrl: 'https://[::1]/us/' }))).toEqual([])
  const jwt = { issuer: 'i', audience: 'a', jwksUrl: 'https://issuer.example.com/keys?p=one' }
  expect(faults({ jwt: [jwt] })).toEqual([])
  expect(faults({ jwt: [{ ...jwt, jwksUrl: 'file:///keys' }] })).toEqual(['jwt.0.jwksUrl'])
})

test.each(['.example.com', '*.example.com', 'https://example.com', 'example.com:8080', 'example.com.', 'a b'])(
  'a base domain below which no host ever is: %s',
  (base) => {
    expect(faults({ identify: { baseDomains: ['Example.com', 'localhost', base] } })).toEqual([
      'identify.baseDomains.2',
    ])
  },
)

test.each(['https://app.test/', 'app.test', 'https://*.app.test', 'https://App.test', 'https://app.test:443', ''])(
  'an origin that no browser sends: %s',
  (origin) => {
    const good = ['*', 'https://app.test', 'http://localhost:3000', 'capacitor://localhost', 'null']
    expect(faults({ cors: { origins: [...good, origin] } })).toEqual([`cors.origins.${good.length}`])
  },
)

test('a time that is longer than a timer can be is a fault: it would be over at once', () => {
  const drainMs = 2 ** 31
  expect(faults({ http: { drainMs }, pools: { queueWaitMs: drainMs } })).toEqual(['http.drainMs', 'pools.queueWaitMs'])
  expect(faults({ directory: { staleMs: 90 * 86_400_000 } })).toEqual([])
})

test('what every object has is no region and no tier', () => {
  expect(() => resolveConfig(input, { kind: 'gateway', region: 'constructor' }, {})).toThrow(
    /has no region "constructor"/,
  )
  expect(() => resolveConfig({ ...input, defaultTier: 'constructor' }, { kind: 'control' }, {})).toThrow(
    /defaultTier: "constructor" is not one of/,
  )
})

test('a second entry for the same tokens is a fault: nobody would look at its keys', () => {
  const jwt = { issuer: 'i', audience: 'a', jwksUrl: 'https://issuer.example.com/one' }
  expect(
    faults({ jwt: [jwt, { ...jwt, audience: 'b' }, { ...jwt, jwksUrl: 'https://issuer.example.com/two' }] }),
  ).toEqual(['jwt.2.issuer'])
})
