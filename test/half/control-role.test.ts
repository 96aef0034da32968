import { afterAll, beforeAll, expect, test } from 'vitest'
import { installDirectory } from '../../tiers/directory/install.ts'
import type { Move } from '../../tiers/move/types.ts'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { QUICK } from '../move/support/two-clusters.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { halfKeys, withHalves } from './support.ts'

/** What a stolen half could do in the control database: acme is on its way to eu, and hooli to us; stark stays. */
let system: TestSystem
let toEu: Move
let toUs: Move
let stark: string
beforeAll(async () => {
  system = await startTestSystem({
    regions: ['us', 'eu'],
    tenants: [
      { slug: 'acme', tier: 'free', region: 'us' },
      { slug: 'hooli', tier: 'free', region: 'eu' },
      { slug: 'stark', tier: 'enterprise', region: 'us' },
    ],
    env: halfKeys(),
    moveSettings: QUICK,
    configure: (input) => withHalves(input, { us: 1, eu: 2 }),
  })
  toEu = await system.control.moves.start({ tenant: 'acme', tier: 'pro', region: 'eu', by: 'test' })
  toUs = await system.control.moves.start({ tenant: 'hooli', tier: 'pro', region: 'us', by: 'test' })
  stark = (await system.control.tenant('stark')).id
})
afterAll(() => system?.close())

const asEu = (text: string, params: readonly string[] = []) =>
  withAdmin(system.env.INNKEEPER_EU_MOVER_CONTROL_URL!, null, {}, (sql) => sql.unsafe(text, [...params]))
const NOT_ITS_OWN = { code: 'IK053' }
const NO_RIGHT = { code: '42501' }

test('a half works on moves that lead into its region, and on no others', async () => {
  const [row] = await asEu('update moves set attempts = attempts where id = $1 returning id', [toEu.id])
  expect(row).toEqual({ id: toEu.id })
  await expect(asEu('update moves set attempts = 9 where id = $1', [toUs.id])).rejects.toMatchObject(NOT_ITS_OWN)
  await expect(asEu('update moves set request = $2 where id = $1', [toUs.id, 'abort'])).rejects.toMatchObject(
    NOT_ITS_OWN,
  )
})

test('a half makes up no move, and none leads elsewhere than it was planned to: so none lets it into another room', async () => {
  const made = `insert into moves (id, tenant_id, origin, destination, state, asked_by)
    select gen_random_uuid(), $1, origin, destination, 'planned', 'eu' from moves where id = $2`
  await expect(asEu(made, [stark, toEu.id])).rejects.toMatchObject(NO_RIGHT)
  await expect(asEu('delete from moves')).rejects.toMatchObject(NO_RIGHT)
  const set = (path: string) =>
    `update moves set origin = jsonb_set(origin, '${path}', '"innkeeper_other"') where id = $1`
  for (const path of ['{placement,database}', '{placement,cluster}', '{placement,schema}', '{region}']) {
    await expect(asEu(set(path), [toEu.id])).rejects.toMatchObject(NOT_ITS_OWN)
  }
  await expect(asEu('update moves set tenant_id = $2 where id = $1', [toEu.id, stark])).rejects.toMatchObject(NO_RIGHT)
})

test('a half says of a tenant what an open move of its own says, and nothing of others', async () => {
  const place = "update placements set database = 'innkeeper_other' where tenant_id = $1"
  const region = 'update tenants set region = $2 where id = $1'
  for (const tenant of [stark, toUs.tenantId, toEu.tenantId]) {
    await expect(asEu(place, [tenant])).rejects.toMatchObject(NOT_ITS_OWN)
  }
  await expect(asEu(region, [stark, 'eu'])).rejects.toMatchObject(NOT_ITS_OWN)
  await expect(asEu(region, [toUs.tenantId, 'us'])).rejects.toMatchObject(NOT_ITS_OWN)
  await expect(asEu(region, [toEu.tenantId, 'mars'])).rejects.toMatchObject(NOT_ITS_OWN)
  // What an operator has made of the tenant meanwhile is no obstacle to what its move writes.
  const epochs = 'update tenants set epoch_last = epoch_last where id = $1 returning region'
  await withAdmin(system.env.INNKEEPER_CONTROL_URL!, null, {}, async (sql) => {
    await sql`update tenants set tier = 'enterprise' where id = ${toEu.tenantId}`
    expect(await asEu(epochs, [toEu.tenantId])).toEqual([{ region: 'us' }])
    await sql`update tenants set tier = 'free' where id = ${toEu.tenantId}`
  })
  await expect(asEu(epochs, [stark])).rejects.toMatchObject(NOT_ITS_OWN)
  await expect(asEu("update tenants set status = 'suspended'")).rejects.toMatchObject(NO_RIGHT)
  for (const table of ['audit_log', 'operators', 'mover_roles']) {
    await expect(asEu(`select * from ${table}`)).rejects.toMatchObject(NO_RIGHT)
  }
  await expect(asEu('insert into changes (tenant_id, keys) values ($1, $2)', [stark, '{}'])).rejects.toMatchObject(
    NO_RIGHT,
  )
})

test('a half whose region has none any more is shut out', async () => {
  const url = system.env.INNKEEPER_CONTROL_URL!
  await withAdmin(url, null, {}, async (sql) => {
    await sql`insert into mover_roles (role, region) values ('nobody_at_all', 'eu'), ('of_another_server', 'eu')`
    await sql`create role nobody_at_all login password 'x'`
  })
  await system.control.install()
  const [role] = await withAdmin(
    url,
    null,
    {},
    (sql) => sql`select rolcanlogin as may from pg_roles where rolname = 'nobody_at_all'`,
  )
  expect(role).toEqual({ may: false })
  expect(await asEu('select 1 as n')).toEqual([{ n: 1 }])
})

test('none of this takes a superuser', async () => {
  const { server } = system.controlServer
  await withAdmin(server.url(), null, {}, (sql) =>
    sql.unsafe(`create role managed_owner login createrole createdb password 'owner-secret'`),
  )
  const managed = { url: server.url('managed_control', 'managed_owner', 'owner-secret') }
  const mover = { region: 'eu', user: 'managed_mover', password: 'mover-secret' }
  for (let n = 0; n < 2; n++) {
    await installDirectory(managed, { user: 'managed_reader', password: 'reader-secret' }, [mover])
  }
  await withAdmin(server.url('managed_control', mover.user, mover.password), null, {}, async (sql) => {
    expect(await sql`select mover_region() as region`).toEqual([{ region: 'eu' }])
    await expect(sql`select * from mover_roles`).rejects.toMatchObject(NO_RIGHT)
  })
  const asOwner = withAdmin(managed.url, null, {}, (sql) => sql`select mover_region() as region`)
  expect(await asOwner).toEqual([{ region: null }])
})
