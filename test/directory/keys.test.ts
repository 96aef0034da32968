import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { homeOf } from '../../tiers/control/region-stores.ts'
import { makeKeyText } from '../../tiers/keys/text.ts'
import type { KeyVerifier } from '../../tiers/keys/types.ts'
import { openKeyVerifier } from '../../tiers/keys/verifier.ts'
import { REGION_DATABASE } from '../../tiers/rooms/naming.ts'
import type { TenantId } from '../../tiers/types.ts'
import { BUSY } from '../support/busy.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'
import { VISIBLE_MS } from './support.ts'

let system: TestSystem
let acme: TenantId
let hooli: TenantId
let gateways: KeyVerifier[]
/** The key store's owner. */
let sql: postgres.Sql
beforeAll(async () => {
  const tenants = [
    { slug: 'acme', tier: 'free', region: 'us' },
    { slug: 'hooli', tier: 'free', region: 'us' },
  ] as const
  // A server that is killed must not forget what it has confirmed.
  system = await startTestSystem({ tenants, settings: { synchronous_commit: 'on' } })
  acme = (await system.control.tenant('acme')).id
  hooli = (await system.control.tenant('hooli')).id
  const config = system.gatewayConfig()
  const home = homeOf(config.regions.get('us')!.secrets!.clusters)
  gateways = [openKeyVerifier(config, home), openKeyVerifier(config, home)]
  sql = postgres(system.servers.get('us')!.server.url(REGION_DATABASE), {
    max: 2,
    onnotice: () => {},
    backoff: () => 0.1,
  })
})
afterAll(async () => {
  await Promise.all(gateways?.map((g) => g.close()) ?? [])
  await sql?.end({ timeout: 1 })
  await system?.close()
})

const admin = () => system.control.keysOf('us')
const create = (expiresAt: Date | null = null, scopes: ('read' | 'write')[] = ['read']) =>
  admin().create(acme, { name: 'test', scopes, expiresAt })
const expectGone = (text: string, timeoutMs = VISIBLE_MS) =>
  Promise.all(
    gateways.map((g) => expect.poll(() => g.verify(text, acme), { timeout: timeoutMs, interval: 20 }).toBeNull()),
  )

async function expectGood(text: string): Promise<void> {
  for (const g of gateways) expect(await g.verify(text, acme)).toMatchObject({ tenantId: acme })
}

test('a new key works at once, on every gateway, with the scopes it was given', async () => {
  const { text, key } = await create(null, ['read'])
  for (const g of gateways)
    expect(await g.verify(text, acme)).toMatchObject({ id: key.id, tenantId: acme, scopes: ['read'] })
})

describe('a revoked key is refused within a second, on every gateway', () => {
  const revoke = async () => {
    const { text, key } = await create()
    await expectGood(text)
    await admin().revoke(acme, key.id)
    await expectGone(text)
  }

  test('by notification', revoke)

  test('with all notifications lost', async () => {
    const [{ source }] = (await sql`select pg_get_functiondef('keys.changed'::regproc) as source`) as unknown as [
      { source: string },
    ]
    await sql.unsafe(source.replace(/perform pg_notify\([^;]*;/, ''))
    await revoke().finally(() => sql.unsafe(source))
  })

  test('while the listening connections are ended again and again', async () => {
    const cutting = setInterval(() => {
      void sql`select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%' and datname = ${REGION_DATABASE}`
    }, 60)
    await revoke().finally(() => clearInterval(cutting))
  })

  test('when its row is deleted', async () => {
    const { text, key } = await create()
    await expectGood(text)
    await sql`delete from keys.api_keys where id = ${key.id}`
    await expectGone(text)
  })
})

test('a key is good until its hour, and not a moment longer, though it is cached', async () => {
  const expiresAt = new Date(Date.now() + 400)
  const { text } = await create(expiresAt)
  await expectGood(text)
  await new Promise((r) => setTimeout(r, expiresAt.getTime() - Date.now() + 5))
  for (const g of gateways) expect(await g.verify(text, acme)).toBeNull()
})

test('a key proves its own tenant only, whatever tenant its text is made to name', async () => {
  const { text } = await create()
  const renamed = text.replace(acme.replaceAll('-', ''), hooli.replaceAll('-', ''))
  expect(renamed).not.toBe(text)
  for (const g of gateways) {
    expect(await g.verify(text, hooli)).toBeNull()
    expect(await g.verify(renamed, hooli)).toBeNull()
    expect(await g.verify(renamed, acme)).toBeNull()
    expect(await g.verify(`${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`, acme)).toBeNull()
  }
  await expectGood(text)
})

test("the gateways' role reads one key by its hash, and can list none", async () => {
  const app = postgres(
    system
      .gatewayConfig()
      .regions.get('us')!
      .secrets!.clusters.get('us-1')!
      .url.replace(/\/[^/]*$/, `/${REGION_DATABASE}`),
    { max: 1 },
  )
  for (const attempt of ['select * from keys.api_keys', 'select * from keys.changes', 'delete from keys.api_keys']) {
    await expect(app.unsafe(attempt)).rejects.toMatchObject({ code: '42501' })
  }
  await expect(app`insert into keys.changes (keys) values ('{x}')`).rejects.toMatchObject({ code: '42501' })
  await app.end()
})

test('nothing of the secret is stored', async () => {
  const { text } = await create()
  const secret = text.split('_').at(-1)!
  const dump = JSON.stringify(await sql`select k::text, encode(hash, 'escape') from keys.api_keys k`)
  expect(dump).not.toContain(secret)
  expect(dump).not.toContain(Buffer.from(secret).toString('hex'))
  expect(dump).not.toContain(Buffer.from(secret, 'base64url').toString('hex'))
})

test('with the key store down, keys in use go on, an unknown one is neither good nor bad, and a revocation is caught up', {
  timeout: 30_000,
}, async () => {
  const { text, key } = await create()
  const unseen = await create()
  await expectGood(text)
  const { server } = system.servers.get('us')!
  server.kill('SIGKILL')
  await new Promise((r) => setTimeout(r, 500))
  await expectGood(text)
  for (const unknown of [unseen.text, makeKeyText(acme)]) {
    const startedAt = performance.now()
    await expect(gateways[0]!.verify(unknown, acme)).rejects.toMatchObject({
      code: 'cluster_unavailable',
      retryAfterMs: expect.any(Number),
    })
    expect(performance.now() - startedAt).toBeLessThan(2_500 * BUSY)
  }
  await server.restart()
  await waitUntil('the key store', () =>
    admin()
      .revoke(acme, key.id)
      .then(Boolean, () => false),
  )
  await expectGone(text, 2_500)
  await expectGood(unseen.text)
})
