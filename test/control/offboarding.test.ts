import { afterAll, beforeAll, expect, test } from 'vitest'
import * as schema from '../../config/schema.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTestSystem()
})
afterAll(() => system?.close())

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
