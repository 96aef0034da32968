import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as schema from '../../config/schema.ts'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let admin: TestAdmin
beforeAll(async () => {
  system = await startTestSystem()
  admin = await startTestAdmin(system)
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

test('what is being written while its tenant leaves the pool is not left there', async () => {
  const tenants = await system.openTenants()
  const { id, placement } = await system.control.tenant('acme')
  const sql = system.control.makerOf('us-1').admin(placement!.database)
  const isWaiting = async () => (await sql`select from pg_locks where locktype = 'advisory' and not granted`).length > 0
  let isGone = false
  const left = await tenants.transaction('acme', async (db) => {
    await db.insert(schema.tags).values({ name: 'late', color: '#112233' })
    const leaving = system.control.offboard('acme').finally(() => {
      isGone = true
    })
    await expect.poll(async () => isGone || (await isWaiting())).toBe(true)
    return { leaving }
  })
  expect(await left.leaving).toMatchObject({ status: 'offboarded', placement: null })
  expect(await sql`select from app.tags where tenant_id = ${id}`).toHaveLength(0)
})

test('a removal that a killed process left half done is named by the doctor, stops no migration, and is finished at a start', async () => {
  const { control } = system
  const [begun, almost] = [await control.tenant('hooli'), await control.tenant('initech')]
  await control.store.addDomain(begun.id, 'desk.example')
  for (const { id } of [begun, almost]) await control.store.setStatus(id, 'offboarded')
  await control.makerOf('us-1').removeRoom(almost.id, almost.placement!)
  expect((await control.migrate()).failures).toEqual([])
  const sql = postgres(system.env.INNKEEPER_CONTROL_URL!, { max: 1, onnotice: () => {} })
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    await tx`update tenants set updated_at = now() - interval '2 minutes' where status = 'offboarded'`
  })
  await sql.end()
  const checks = (await admin.call('GET', '/admin/v1/doctor')).body.checks as { status: string; message: string }[]
  expect(checks).toContainEqual(
    expect.objectContaining({ status: 'warn', message: expect.stringMatching(/half removed.*hooli.*initech/) }),
  )
  expect(await control.recover()).toEqual(['hooli', 'initech'])
  for (const { id, placement } of [begun, almost]) {
    expect(await control.tenant(id)).toMatchObject({ placement: null, domains: [] })
    expect((await control.keysOf('us').list(id)).every((k) => k.revokedAt !== null)).toBe(true)
    const there = control.makerOf('us-1').admin(placement!.isolation === 'schema' ? placement!.database : 'postgres')
    expect(await there`select from pg_namespace where nspname = ${placement!.schema} and nspname <> 'public'`).toEqual(
      [],
    )
  }
  expect(await control.recover()).toEqual([])
})

test('a domain that is being given to a tenant who leaves is nobody’s afterwards', async () => {
  const { control } = system
  const { id } = await control.createTenant({ slug: 'leaver', tier: 'free', region: 'us' })
  await control.offboard('leaver')
  await expect(control.store.addDomain(id, 'desk.example')).rejects.toMatchObject({ code: 'tenant_gone' })
  const names = Array.from({ length: 10 }, (_, i) => `racer-${i}`)
  await Promise.all(names.map((slug) => control.createTenant({ slug, tier: 'free', region: 'us' })))
  await Promise.all(
    names.map(async (slug) => {
      const racer = await control.tenant(slug)
      await Promise.allSettled([control.offboard(slug), control.store.addDomain(racer.id, `${slug}.example`)])
      expect((await control.tenant(slug)).domains).toEqual([])
    }),
  )
})
