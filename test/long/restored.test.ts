import { afterAll, beforeAll, expect, test } from 'vitest'
import * as schema from '../../config/schema.ts'
import { diagnose } from '../../gateway/admin/doctor/doctor.ts'
import type { Incarnation } from '../../tiers/control/incarnation.ts'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { startTwoClusters } from '../move/support/two-clusters.ts'
import { startTestAdmin } from '../support/admin.ts'
import { runCli } from '../support/cli.ts'
import type { TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  const slugs = ['acme', 'hooli', 'initech', 'umbrella'] as const
  system = await startTwoClusters(slugs.map((slug) => ({ slug, tier: 'free', region: 'us' })))
})
afterAll(() => system?.close())

const server = <T>(run: Parameters<typeof withAdmin<T>>[3]) =>
  withAdmin(system.env.INNKEEPER_CONTROL_URL!, 'postgres', {}, run)
const CUT = `select pg_terminate_backend(pid) from pg_stat_activity where datname = 'innkeeper_control'`

/** As a backup would: whole, at one moment. */
const backUp = () =>
  server(async (sql) => {
    await sql.unsafe('alter database innkeeper_control allow_connections false')
    await sql.unsafe(CUT)
    await sql.unsafe('create database kept template innkeeper_control')
    await sql.unsafe('alter database innkeeper_control allow_connections true')
  })
const restore = () =>
  server(async (sql) => {
    await sql.unsafe('drop database innkeeper_control with (force)')
    await sql.unsafe('create database innkeeper_control template kept')
  })

async function move(tenant: string, to: { tier?: string; cluster?: string }, until: 'watching' | 'completed') {
  const { moves } = system.control
  const { id } = await moves.start({ tenant, ...to, by: 'test' })
  const watched = await moves.reached(id, 'watching')
  expect(watched, watched.reason ?? '').toMatchObject({ state: 'watching' })
  if (until === 'completed') {
    await moves.complete(id)
    await moves.reached(id, 'completed')
  }
  return id
}

const other = async (slug: string) =>
  (await system.control.tenant(slug)).placement!.cluster === 'us-1' ? 'us-2' : 'us-1'

/** All that any room has heard of, and all that the directory has given out. */
async function epochs(): Promise<number[]> {
  const found: number[] = []
  for (const cluster of ['us-1', 'us-2']) {
    for (const database of ['innkeeper_shared', 'innkeeper_schemas']) {
      const rows = await system.control.makerOf(cluster).admin(database)<{ epoch: number }[]>`
        select epoch::float8 as epoch from tenancy.fence union all select epoch::float8 from tenancy.epoch_mark`
      found.push(...rows.map((r) => r.epoch))
    }
  }
  return found
}

test('after the control database was restored nothing is moved before an operator has said so; then nothing is lost and no epoch comes again', async () => {
  const { control } = system
  let runner = control.moves.run()
  const tenants = await system.openTenants('us')
  const note = (slug: string, name: string) => tenants.for(slug).insert(schema.tags).values({ name })
  for (const slug of ['acme', 'hooli', 'initech', 'umbrella']) await note(slug, 'before')
  const rolledBack = await move('initech', { tier: 'pro' }, 'watching')
  const open = await move('umbrella', { tier: 'pro' }, 'watching')
  await runner.close()
  await backUp()

  // What happens after the backup, and is forgotten.
  runner = control.moves.run()
  await move('acme', { tier: 'pro' }, 'completed')
  await move('acme', { cluster: await other('acme') }, 'completed')
  await move('hooli', { cluster: await other('hooli') }, 'watching')
  await control.moves.rollback(rolledBack)
  await control.moves.reached(rolledBack, 'rolled_back')
  const { id: unknown } = await control.createTenant({ slug: 'later', tier: 'pro', region: 'us' })
  for (const slug of ['acme', 'hooli', 'initech', 'umbrella']) await note(slug, 'after')
  await runner.close()
  await tenants.close()
  const homes = new Map<string, unknown>()
  for (const slug of ['acme', 'hooli', 'initech', 'umbrella']) {
    const { cluster, database, schema: room } = (await control.tenant(slug)).placement!
    homes.set(slug, { cluster, database, schema: room })
  }
  const used = new Set(await epochs())
  await restore()

  // It is found out by everyone, and nobody does anything.
  const product = { folder: '', config: system.input, schema, references: [], routes: null, isDemo: true }
  const deps = { config: system.config, control, product: { ...product, migrationsFolder: system.migrationsFolder } }
  const found = (await diagnose(deps)).checks.find((c) => c.name === 'us-1 epochs')
  expect(found).toMatchObject({ status: 'fail', fix: 'innkeeper control new-incarnation' })
  const refused = { code: 'conflict', hint: expect.stringContaining('new-incarnation') }
  await expect(control.createTenant({ slug: 'new', tier: 'free', region: 'us' })).rejects.toMatchObject(refused)
  await expect(control.moves.start({ tenant: 'hooli', tier: 'pro', by: 'test' })).rejects.toMatchObject(refused)
  runner = control.moves.run()
  await expect.poll(async () => (await control.moves.get(rolledBack)).reason).toMatch(/older than the data/)

  const admin = await startTestAdmin(system)
  const env = { INNKEEPER_ADMIN_URL: await admin.listen(), INNKEEPER_ADMIN_TOKEN: admin.token }
  expect((await runCli(['control', 'new-incarnation'], { env })).code).toBe(2)
  const raised = await runCli(['control', 'new-incarnation', '--yes', '--json'], { env })
  await admin.close()
  // What only a person can know is listed, and the exit code says that there is something.
  expect(raised).toMatchObject({ code: 7 })
  const { number, adopted, moves, unclear } = JSON.parse(raised.out) as Incarnation
  expect(number).toBe(1)
  expect(adopted.map((a) => a.tenant).toSorted()).toEqual(['acme', 'hooli', 'initech'])
  expect(moves).toEqual([{ move: rolledBack, was: 'watching', now: 'clearing' }])
  expect(unclear.some((u) => u.includes(unknown))).toBe(true)
  for (const [slug, home] of homes) expect((await control.tenant(slug)).placement).toMatchObject(home as object)
  expect((await control.tenant('acme')).tier).toBe('pro')

  // The moves that it knew go on from where they had come to, and new ones are begun.
  expect(await control.moves.reached(rolledBack, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
  expect(await control.moves.get(open)).toMatchObject({ state: 'watching' })
  await control.moves.rollback(open)
  expect(await control.moves.reached(open, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
  await move('acme', { tier: 'free', cluster: 'us-1' }, 'completed')
  await move('hooli', { tier: 'pro' }, 'completed')
  const fresh = await system.openTenants('us')
  for (const slug of homes.keys()) {
    expect((await fresh.for(slug).select().from(schema.tags)).map((t) => t.name).toSorted()).toEqual([
      'after',
      'before',
    ])
  }
  const now = (await epochs()).filter((e) => !used.has(e))
  expect(Math.min(...now)).toBeGreaterThan(Math.max(...used))
  expect(Math.min(...now)).toBeGreaterThanOrEqual(2 ** 32)
  await control.createTenant({ slug: 'new', tier: 'free', region: 'us' })
  await runner.close()
}, 180_000)
