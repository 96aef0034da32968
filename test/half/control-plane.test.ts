import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ConfigInput, resolveConfig } from '../../config/index.ts'
import * as schema from '../../config/schema.ts'
import { diagnose } from '../../gateway/admin/doctor/doctor.ts'
import { type RunningControl, startControl } from '../../gateway/control.ts'
import { type RunningMover, startMover } from '../../gateway/mover.ts'
import type { Product } from '../../gateway/product.ts'
import { openControlPlane } from '../../tiers/control/control-plane.ts'
import { type OtherHalf, otherHalf } from '../../tiers/half/other-half.ts'
import { otherRegions } from '../../tiers/half/other-regions.ts'
import { CONTROL, channelKeys } from '../../tiers/half/peers.ts'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { QUICK } from '../move/support/two-clusters.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { startTap, type Tap } from '../support/tap.ts'
import { temporaryFolder } from '../support/temporary.ts'
import {
  channelKey,
  envOfControl,
  envOfHalf,
  HALF_REGIONS,
  halfConfig,
  halfKeys,
  withChannel,
  withHalves,
} from './support.ts'

/** A control plane with no credential of any region, and the regions' halves, which install everything from nothing. */
let system: TestSystem
let taps: Record<'us' | 'eu', Tap>
let movers: RunningMover[]
let running: RunningControl
let migrationsFolder: string
let product: Product
const logged: string[] = []
const logTo = new Writable({
  write(chunk, _encoding, done) {
    logged.push(String(chunk))
    done()
  },
}) as never

beforeAll(async () => {
  migrationsFolder = await temporaryFolder('migrations')
  await cp(new URL('../../config/migrations/', import.meta.url), migrationsFolder, { recursive: true })
  taps = { us: await startTap(), eu: await startTap() }
  system = await startTestSystem({
    regions: ['us', 'eu'],
    ownControlServer: true,
    tenants: [],
    env: { ...halfKeys(), ...channelKey() },
    migrationsFolder,
    configure: (input) => withChannel(withHalves(input, { us: taps.us.port, eu: taps.eu.port })),
  })
  product = {
    folder: '',
    config: system.input,
    schema,
    references: [],
    routes: null,
    migrationsFolder,
    isDemo: true,
  }
  movers = []
  for (const region of HALF_REGIONS) {
    const env = envOfHalf(system.env, region)
    const options = { configFolder: null, region, host: '127.0.0.1', port: 0, env, product, logTo, moveSettings: QUICK }
    movers.push(await startMover(options))
    taps[region].target = movers.at(-1)!.port
  }
  running = await startControl({ configFolder: null, env: envOfControl(system.env), product, port: 0, logTo })
}, 60_000)
afterAll(async () => {
  await running?.close()
  await Promise.all((movers ?? []).map((m) => m.close()))
  await system?.close()
  await Promise.all(Object.values(taps ?? {}).map((t) => t.close()))
})

const MODELS = [
  { slug: 'acme', tier: 'free', region: 'us' },
  { slug: 'hooli', tier: 'pro', region: 'us' },
  { slug: 'stark', tier: 'enterprise', region: 'us' },
] as const

test('it has nothing of any region, in its environment or its configuration', () => {
  const env = envOfControl(system.env)
  const hidden = Object.entries(system.env).filter(([name]) => !(name in env))
  expect(hidden.length).toBe(10)
  const text = JSON.stringify(resolveConfig(system.input, { kind: 'control' }, system.env), (_key, value) => {
    if (value instanceof Map) return [...value]
    return value?.type === 'Buffer' ? Buffer.from(value.data).toString('base64') : value
  })
  expect(text).toContain(env.INNKEEPER_CONTROL_CHANNEL_KEY)
  for (const [name, value] of hidden) expect([name, text.includes(value)]).toEqual([name, false])
})

test.each(MODELS)('it makes a $tier tenant, who is served, with an API key', async (tenant) => {
  const { control } = running
  const { id } = await control.createTenant(tenant)
  const { key } = await control.keysOf('us').create(id, { name: 'test', scopes: ['read'], expiresAt: null })
  expect((await control.keysOf('us').list(id)).map((k) => k.id)).toEqual([key.id])
  const tenants = await system.openTenants('us')
  const db = tenants.for(tenant.slug)
  await db.insert(schema.customers).values({ name: 'Wile', email: `${tenant.slug}@example.com` })
  expect((await db.select().from(schema.customers)).map((c) => c.email)).toEqual([`${tenant.slug}@example.com`])
  await tenants.close()
})

test('it plans moves and asks for them, and the halves move', async () => {
  const { moves } = running.control
  const plan = await moves.plan({ tenant: 'hooli', tier: 'enterprise', region: 'eu' })
  expect(plan).toMatchObject({ refusals: [], kind: 'room' })
  const { id } = await moves.start({ tenant: 'hooli', tier: 'enterprise', region: 'eu', by: 'test' })
  expect((await moves.reached(id, 'watching')).state).toBe('watching')
  await moves.complete(id)
  expect(await moves.reached(id, 'completed')).toMatchObject({ state: 'completed' })
  expect(await running.control.tenant('hooli')).toMatchObject({ region: 'eu' })
}, 30_000)

test('it migrates every room, by the very files that the halves have', async () => {
  await writeFile(join(migrationsFolder, '9000_more.sql'), 'alter table "{room}".customers add column nickname text;')
  const done = await running.control.migrate()
  // The shared rooms of both regions, hooli's and stark's.
  expect(done).toMatchObject({ rooms: 4, migrated: 4, failures: [] })
  const us = asControl()
  await expect(
    us.hands.migrate({ cluster: 'us-1', database: 'innkeeper_shared', schema: 'app' }, '0'.repeat(64)),
  ).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('other migrations') })
  await writeFile(join(migrationsFolder, '9001_hole.sql'), 'create table "{room}".hole (id int primary key);')
  const refused = await running.control.migrate()
  expect(refused.failures).toHaveLength(4)
  expect(refused.failures[0]!.error).toMatchObject({
    code: 'migration_refused',
    details: expect.stringContaining('hole'),
  })
  await rm(join(migrationsFolder, '9001_hole.sql'))
})

test('it says where everything of a tenant is, and whether all is well', async () => {
  const { document } = await running.control.residencyReport('stark')
  expect(document.tables).toEqual(expect.arrayContaining(['customers', 'tickets']))
  expect(document.keys.map((k) => k.region)).toEqual(['us', 'us'])
  expect(document.scan).toMatchObject({ found: [], unclaimed: [], unread: [] })
  expect(document.scan.looked.map((l) => l.cluster).sort()).toEqual(['eu-1', 'us-1'])
  expect(document.scan.looked.every((l) => l.tables > 0)).toBe(true)
  const config = resolveConfig(system.input, { kind: 'control' }, envOfControl(system.env))
  const { checks } = await diagnose({ config, control: running.control, product }, { residency: true })
  expect(checks.filter((c) => c.status === 'fail')).toEqual([])
  for (const name of ['us-1 server', 'eu-1 ticket keys', 'us-1 migrations', 'eu key store', 'us-1 residency']) {
    expect(checks).toContainEqual(expect.objectContaining({ name, status: 'ok' }))
  }
})

test('it takes what the data says for true after its own database was restored', async () => {
  expect(await running.control.newIncarnation()).toMatchObject({ number: 1, adopted: [], unclear: [] })
})

test('no operator sees rows of a tenant through it', async () => {
  const answer = await fetch(`${running.url}/admin/v1/tenants/stark/sql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${system.env.INNKEEPER_ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ sql: 'select 1' }),
  })
  expect([answer.status, await answer.json()]).toMatchObject([404, { code: 'not_found' }])
})

test('it removes tenants with all that is theirs', async () => {
  const { control } = running
  for (const { slug } of MODELS) {
    const before = await control.tenant(slug)
    const after = await control.offboard(slug)
    expect(after).toMatchObject({ status: 'offboarded', placement: null })
    expect((await control.keysOf(before.region).list(before.id)).every((k) => k.revokedAt !== null)).toBe(true)
  }
  for (const region of HALF_REGIONS) {
    const url = system.env[`INNKEEPER_${region.toUpperCase()}_1_ADMIN_URL`]!
    const left = await withAdmin(
      url,
      null,
      {},
      (sql) => sql`select from pg_database where datname like 'innkeeper\\_d\\_%'`,
    )
    expect(left).toHaveLength(0)
  }
  expect((await control.scanResidency()).foreign).toEqual([])
})

/** The half of `us` as the control plane reaches it. */
function asControl(env = envOfControl(system.env), input: ConfigInput = system.input): OtherHalf {
  const config = resolveConfig(input, { kind: 'control' }, env)
  return otherHalf({ host: '127.0.0.1', port: taps.us.port }, channelKeys(config, CONTROL).calling('us')!)
}

test('nobody else may do any of it: no other region’s half, and no control plane whose key the half does not know', async () => {
  const config = halfConfig(system.input, system.env, 'eu')
  const eu = otherHalf({ host: '127.0.0.1', port: taps.us.port }, channelKeys(config, 'eu').calling('us')!)
  const strange = asControl({ ...envOfControl(system.env), ...channelKey() })
  const room = { cluster: 'us-1', database: 'innkeeper_shared', schema: 'app' }
  const home = { ...room, isolation: 'shared', epoch: 1 } as const
  const id = crypto.randomUUID() as never
  for (const [half, code] of [
    [eu, 'forbidden'],
    [strange, 'unauthenticated'],
  ] as const) {
    await expect(half.hands.install()).rejects.toMatchObject({ code })
    await expect(half.hands.about()).rejects.toMatchObject({ code })
    await expect(half.hands.migrate(room, '0'.repeat(64))).rejects.toMatchObject({ code })
    await expect(half.hands.makeRoom(id, home, '0'.repeat(64))).rejects.toMatchObject({ code })
    for (const database of ['postgres', 'innkeeper_shared', 'innkeeper_region']) {
      await expect(half.reach('us-1', null)(database)).rejects.toMatchObject({ code })
    }
  }
})

test('it gets at what is the half’s own alone, and each time is in the half’s log', async () => {
  const us = asControl()
  await expect(us.reach('eu-1', null)('postgres')).rejects.toMatchObject({ code: 'forbidden' })
  await expect(us.cached(crypto.randomUUID(), true)).rejects.toMatchObject({ code: 'forbidden' })
  const from = logged.length
  const channel = await us.reach('us-1', null)('innkeeper_shared')
  channel.destroy()
  const lines = logged.slice(from).map((line) => JSON.parse(line))
  expect(lines).toContainEqual(
    expect.objectContaining({ peer: CONTROL, ask: 'session', cluster: 'us-1', database: 'innkeeper_shared' }),
  )
})

test('while a half is down its region cannot be worked on, and the other can', async () => {
  const config = resolveConfig(system.input, { kind: 'control' }, envOfControl(system.env))
  const control = openControlPlane({ config, migrationsFolder, others: otherRegions(config, CONTROL) })
  taps.us.mode = 'cut'
  await expect(control.createTenant({ slug: 'wayne', tier: 'free', region: 'us' })).rejects.toMatchObject({
    code: 'region_unavailable',
  })
  await expect(control.createTenant({ slug: 'umbrella', tier: 'free', region: 'eu' })).resolves.toMatchObject({
    status: 'active',
  })
  taps.us.mode = 'pass'
  // What was begun is finished when it is back.
  expect(await control.recover()).toEqual(['wayne'])
  await control.close()
})
