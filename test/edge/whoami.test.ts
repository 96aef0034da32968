import { afterAll, beforeAll, expect, test } from 'vitest'
import { startGateway, type TestGateway } from './support/gateway.ts'

let gateway: TestGateway
let key: string

beforeAll(async () => {
  gateway = await startGateway()
  key = gateway.world.key(gateway.world.tenant('acme'), ['read'])
})
afterAll(() => gateway.close())

test('a key alone names the tenant, as apikey header and as bearer token', async () => {
  for (const headers of [
    { apikey: key },
    { authorization: `Bearer ${key}` },
    { apikey: key, authorization: `Bearer ${key}` },
  ]) {
    const answer = await gateway.ask('/v1/whoami', headers)
    expect(answer.status).toBe(200)
    expect(answer.json).toMatchObject({
      tenant: { slug: 'acme', tier: 'free', region: 'us', isolation: 'shared' },
      credential: { kind: 'api_key', scopes: ['read'] },
      user: null,
    })
  }
})

test('the path, the subdomain and the key may name the tenant together', async () => {
  const answer = await gateway.ask('/t/acme/v1/whoami', { apikey: key, host: 'acme.localhost:80' })
  expect(answer.status).toBe(200)
})
