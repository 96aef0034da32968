import { randomBytes } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type ConfigInput, secret } from '../../config/index.ts'
import { type KeyRing, keyRing } from '../../tiers/ring/key-ring.ts'
import { headOf, type Purpose, sealing, unseal } from '../../tiers/ring/sealed.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { waitUntil } from '../support/wait.ts'
import { startWorld, type TestGateway, type World } from './support.ts'

const KNOWN = ['umbrella', 'globex', 'stark']

let world: World
let folder: string
let gateway: TestGateway
/** The server of `us` holds the control database: `eu` and its tenants need nothing of it. */
const control = () => world.system.servers.get('us')!.server

beforeAll(async () => {
  folder = await temporaryFolder('directory')
  world = await startWorld({
    regions: ['us', 'eu'],
    configure: (input) => ({ ...input, directory: { persistFolder: folder, persistMs: 100, ttlMs: 300 } }),
  })
  gateway = await world.gateway('eu')
  for (const slug of KNOWN) expect((await ask(slug)).status).toBe(200)
}, 120_000)
afterAll(() => world?.close())
afterEach(() => control().restart())

const ask = (slug: string) => gateway.ask(`/t/${slug}/rest/v1/tickets?limit=1`, { as: slug })
const readyz = async () => (await gateway.ask('/readyz')).json
const file = () => join(folder, 'directory-eu.sealed')

const ring = () => keyRing('eu', world.system.gatewayConfig('eu').regions.get('eu')!.secrets!.keyRing)

/** Four clients that ask for known tenants until told to stop. @returns what was not answered with 200 */
function startLoad() {
  const failures: unknown[] = []
  let count = 0
  let running = true
  const clients = KNOWN.map(async (slug) => {
    while (running) {
      const { status, json } = await ask(slug)
      count++
      if (status !== 200) failures.push({ slug, status, json })
      await sleep(2)
    }
  })
  return {
    /** Waits for so many answers more. */
    async answers(more: number) {
      const until = count + more
      await waitUntil(`${more} answers`, () => count >= until, 30_000)
    },
    async stop() {
      running = false
      await Promise.all(clients)
      return { failures }
    },
  }
}

test('what is kept on disk is readable by its owner only, and holds routing facts only', async () => {
  await waitUntil('the file', () =>
    stat(file()).then(
      () => true,
      () => false,
    ),
  )
  await sleep(300)
  expect((await stat(file())).mode & 0o777).toBe(0o600)
  const sealed = await readFile(file())
  for (const slug of KNOWN) expect(sealed.includes(slug)).toBe(false)
  const lines = unseal(ring(), 'directory', sealed)
    .toString()
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l))
  expect(lines.map((l) => l.tenant.slug).sort()).toEqual([...KNOWN].sort())
  for (const line of lines) {
    expect(Object.keys(line).sort()).toEqual(['loadedAtMs', 'tenant'])
    const fields = ['away', 'id', 'pinned', 'placement', 'profile', 'region', 'slug', 'status', 'tier', 'version']
    expect(Object.keys(line.tenant).sort()).toEqual(fields)
    expect(Object.keys(line.tenant.placement).sort()).toEqual(['cluster', 'database', 'epoch', 'isolation', 'schema'])
  }
})

test('with the control database killed no request of a known tenant fails, also after a restart; back again, it catches up', async () => {
  let load = startLoad()
  await load.answers(30)
  control().kill('SIGKILL')
  // Long enough for every answer that was fresh to have become stale.
  await sleep(2_000)
  await load.answers(60)
  const during = await load.stop()
  expect(during.failures).toEqual([])
  expect(await readyz()).toMatchObject({ status: 'ready', directory: { connected: false } })

  await gateway.close()
  gateway = await world.gateway('eu')
  load = startLoad()
  await load.answers(60)
  const restarted = await load.stop()
  expect(restarted.failures).toEqual([])
  const ready = await readyz()
  expect(ready).toMatchObject({ status: 'ready', directory: { connected: false, restored: 3 } })
  expect(ready.directory.stale_for_ms).toBeGreaterThan(0)
  const metrics = await gateway.telemetry.prometheusText()
  expect(metrics).toMatch(/^directory_connected(\{.*\})? 0$/m)
  expect(metrics).toMatch(/^directory_stale_seconds(\{.*\})? [\d.]+$/m)
  // Who was never seen is told so, and is told clearly.
  expect(await gateway.ask('/v1/whoami', { as: 'acme' })).toMatchObject({
    status: 503,
    json: { code: 'directory_unavailable' },
  })

  load = startLoad()
  await control().restart()
  await waitUntil('the directory', async () => (await readyz()).directory.connected === true)
  await world.system.control.suspend('stark')
  await expect.poll(async () => (await ask('stark')).status, { timeout: 10_000 }).toBe(403)
  await world.system.control.resume('stark')
  await expect.poll(async () => (await ask('stark')).status, { timeout: 10_000 }).toBe(200)
  const { failures } = await load.stop()
  expect(failures.filter((f) => (f as { status: number }).status !== 403)).toEqual([])
}, 120_000)

test('a file that is torn, changed or of another region is not believed, and does not keep a gateway from starting', async () => {
  await gateway.close()
  const good = await readFile(file())
  const changed = Buffer.from(good)
  changed[good.length - 30] = changed[good.length - 30]! ^ 1
  const bad = [
    good.subarray(0, -30),
    changed,
    await sealedAs(keyRing('us', world.system.gatewayConfig('us').regions.get('us')!.secrets!.keyRing), 'directory'),
    await sealedAs(ring(), 'export'),
    Buffer.from(''),
    unseal(ring(), 'directory', good),
    Buffer.from('nonsense\n\n\n'),
  ]
  for (const text of bad) {
    await writeFile(file(), text)
    gateway = await world.gateway('eu', {
      configure: (i) => ({ ...i, directory: { ...i.directory, persistMs: 60_000 } }),
    })
    expect((await readyz()).directory.restored, text.subarray(0, 40).toString('latin1')).toBe(0)
    expect(gateway.logs).toContainEqual(expect.objectContaining({ msg: 'the directory kept on disk is not believed' }))
    expect((await ask('umbrella')).status).toBe(200)
    await gateway.close()
  }
  gateway = await world.gateway('eu')
}, 120_000)

/** What an older gateway of the ring would have left. */
function sealedAs(by: KeyRing, purpose: Purpose): Promise<Buffer> {
  return buffer(
    Readable.from([Buffer.from('{"domain":"a.example","id":"x","loadedAtMs":1}\n')]).pipe(sealing(by, purpose)),
  )
}

test('after a rotation of the ring the file is read once with the old key, and soon sealed with the new one', async () => {
  for (const slug of KNOWN) expect((await ask(slug)).status).toBe(200)
  await waitUntil('the file', async () => headOf(await readFile(file()))?.keyId === ring().currentId)
  await gateway.close()
  control().kill('SIGKILL')
  const { env } = world.system
  const rings = (names: string[]) => (input: ConfigInput) => ({
    ...input,
    regions: { ...input.regions, eu: { ...input.regions.eu!, keyRing: names.map(secret) } },
  })
  const next = { ...env, INNKEEPER_EU_RING_2: randomBytes(32).toString('base64') }
  gateway = await world.gateway('eu', { env: next, configure: rings(['INNKEEPER_EU_RING_2', 'INNKEEPER_EU_KEY']) })
  expect((await readyz()).directory).toMatchObject({ connected: false, restored: 3 })
  const fresh = keyRing('eu', [Buffer.from(next.INNKEEPER_EU_RING_2, 'base64')])
  await waitUntil('the new key', async () => headOf(await readFile(file()))?.keyId === fresh.currentId)
  await gateway.close()

  // The old key is not needed any more; and without the new one nothing is believed, and it is said why.
  gateway = await world.gateway('eu', { env: next, configure: rings(['INNKEEPER_EU_RING_2']) })
  expect((await readyz()).directory).toMatchObject({ restored: 3 })
  await gateway.close()
  gateway = await world.gateway('eu')
  expect((await readyz()).directory).toMatchObject({ restored: 0 })
  expect(gateway.logs).toContainEqual(
    expect.objectContaining({ fault: expect.stringMatching(/^Key [0-9a-f]{16} is not in the key ring of region eu/) }),
  )
}, 120_000)
