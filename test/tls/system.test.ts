import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ConfigInput } from '../../config/index.ts'
import { type RunningControl, startControl } from '../../gateway/control.ts'
import { loadProduct } from '../../gateway/product.ts'
import { startWorld, type TestGateway, type World } from '../gateway/support.ts'
import { QUICK } from '../move/support/two-clusters.ts'
import { type Certificate, makeAuthority, type Shown, whatServersShow } from '../support/certificates.ts'
import { runCli } from '../support/cli.ts'
import { startHttps } from '../support/https.ts'
import { startTlsPostgres } from '../support/tls-postgres.ts'
import { waitUntil } from '../support/wait.ts'

const known = await makeAuthority('known')
const stranger = await makeAuthority('stranger')

/** Every server lets nobody in who speaks in clear: a link that did would show. */
describe.skipIf(known === null || stranger === null)('a whole system with tls: verify-full', () => {
  const caFile = known?.caFile ?? ''
  let shows: Shown[]
  let own: Certificate
  let world: World
  let us: TestGateway
  let eu: TestGateway
  let control: RunningControl

  beforeAll(async () => {
    shows = await whatServersShow(known!, stranger!)
    own = shows[0]!.certificate!
    world = await startWorld({
      regions: ['us', 'eu'],
      moveSettings: QUICK,
      async startServer() {
        const server = await startTlsPostgres()
        await server.show(own)
        await server.refusePlain()
        return server
      },
      configure: protectedBy,
    })
    const { certFile, keyFile } = own
    eu = await world.gateway('eu', { configure: (i) => ({ ...i, http: { ...i.http, tls: { certFile, keyFile } } }) })
    us = await world.gateway('us', { configure: (i) => withPeer(i, eu.port) })
    const product = { ...(await loadProduct(null)), config: world.system.input }
    const silent = { write: () => {} }
    control = await startControl({ configFolder: null, env: world.system.env, product, port: 0, logTo: silent })
  }, 180_000)
  afterAll(async () => {
    await control?.close()
    await world?.close()
  })

  function protectedBy(input: ConfigInput): ConfigInput {
    const verified = { tls: 'verify-full' as const }
    const regions = Object.entries(input.regions).map(([name, region]) => [
      name,
      {
        ...region,
        caFile,
        clusters: Object.fromEntries(Object.entries(region.clusters).map(([c, its]) => [c, { ...its, ...verified }])),
      },
    ])
    return {
      ...input,
      control: { ...input.control, ...verified, caFile },
      admin: { ...input.admin, tls: { certFile: own.certFile, keyFile: own.keyFile } },
      tiers: Object.fromEntries(Object.entries(input.tiers).map(([t, tier]) => [t, { ...tier, away: 'forward' }])),
      regions: Object.fromEntries(regions),
    }
  }

  const withPeer = (input: ConfigInput, port: number): ConfigInput => ({
    ...input,
    regions: {
      ...input.regions,
      eu: { ...input.regions.eu!, peerUrl: `https://localhost:${port}`, peerCaFile: caFile },
    },
  })

  test('serves at home and forwards away, over https to the peer', async () => {
    for (const slug of ['acme', 'hooli', 'initech', 'umbrella', 'stark']) {
      const { status, headers } = await us.ask('/rest/v1/tickets?limit=1', { as: slug })
      expect([slug, status]).toEqual([slug, 200])
      expect(headers['server-timing'] !== undefined).toBe(['umbrella', 'stark'].includes(slug))
    }
    // In clear the other gateway's port answers nobody.
    await expect(eu.ask('/healthz')).rejects.toThrow()
  })

  test('moves a tenant', async () => {
    const { moves } = world.system.control
    const runner = moves.run()
    const { id } = await moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
    expect((await moves.reached(id, 'watching')).state).toBe('watching')
    await moves.complete(id)
    await waitUntil('the end', async () => (await moves.get(id)).state === 'completed', 60_000)
    await runner.close()
    expect((await us.ask('/rest/v1/tickets?limit=1', { as: 'acme' })).status).toBe(200)
  })

  test('is looked after over https: by who believes its certificate, and by nobody else', async () => {
    expect(control.url).toMatch(/^https:/)
    const INNKEEPER_ADMIN_URL = control.url.replace('127.0.0.1', 'localhost')
    const env = { INNKEEPER_ADMIN_URL, INNKEEPER_ADMIN_TOKEN: world.system.env.INNKEEPER_ADMIN_TOKEN! }
    const trusting = await runCli(['tenants', 'list'], { env: { ...env, NODE_EXTRA_CA_CERTS: caFile } })
    expect([trusting.code, trusting.err]).toEqual([0, ''])
    expect(trusting.out).toContain('umbrella')
    expect((await runCli(['tenants', 'list'], { env })).code).not.toBe(0)
    const doctor = await runCli(['doctor', '--json'], { env: { ...env, NODE_EXTRA_CA_CERTS: caFile } })
    const checks = JSON.parse(doctor.out).checks as { name: string; status: string }[]
    for (const name of ['control database', 'us-1 server', 'eu-1 server']) {
      expect(checks).toContainEqual(expect.objectContaining({ name, status: 'ok' }))
    }
  })

  test('forwards to a peer that proves to be it, and to no other', async () => {
    for (const { certificate, isGood, name } of shows) {
      let arrived = 0
      const peer = await startHttps(certificate, (_req, res) => {
        arrived++
        res.end('{}')
      })
      const gateway = await world.gateway('us', { configure: (i) => withPeer(i, peer.port) })
      const { status, json } = await gateway.ask('/rest/v1/tickets?limit=1', { as: 'umbrella' })
      expect([name, status, json?.code]).toEqual(isGood ? [name, 200, undefined] : [name, 503, 'region_unavailable'])
      expect([name, arrived]).toEqual([name, isGood ? 1 : 0])
      await gateway.close()
      await peer.close()
    }
  })

  test('a file that the configuration names and that is not there is told with everything else', async () => {
    const configure = (i: ConfigInput): ConfigInput => ({
      ...i,
      control: { ...i.control, caFile: '/nowhere/ca.pem' },
      http: { ...i.http, tls: { certFile: own.keyFile, keyFile: own.certFile } },
    })
    const message = await world.gateway('us', { configure }).catch((error: Error) => error.message)
    expect(message).toContain('control.caFile: /nowhere/ca.pem cannot be read (ENOENT)')
    expect(message).toMatch(/http\.tls\.certFile: .* holds no certificate in PEM/)
    expect(message).toMatch(/http\.tls\.keyFile: .* holds no key/)
  })
})
