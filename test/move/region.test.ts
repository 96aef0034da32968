import { afterAll, beforeAll, expect, test } from 'vitest'
import * as schema from '../../config/schema.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { expectNothingLost, startLoad } from './support/load.ts'
import { QUICK } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  const tenants = [{ slug: 'acme', tier: 'free', region: 'us' }] as const
  system = await startTestSystem({ regions: ['us', 'eu'], tenants, moveSettings: QUICK })
  system.control.moves.run()
})
afterAll(() => system?.close())

test('a tenant moves to another region and back with its keys, and a dry run says what would be moved', async () => {
  const { moves } = system.control
  const keys = async (region: string) => (await system.control.keysOf(region).list(id)).map((k) => k.id)
  const { id } = await system.control.tenant('acme')
  const tenants = await system.openTenants()
  const load = await startLoad(tenants, 'acme', 1)
  const plan = await moves.plan({ tenant: 'acme', tier: 'pro', region: 'eu' })
  expect(plan).toMatchObject({ kind: 'room', refusals: [], to: { region: 'eu', placement: { cluster: 'eu-1' } } })
  expect(plan.rows).toBeGreaterThan(0)
  expect(await moves.list()).toEqual([])
  const [key] = await keys('us')
  const move = await moves.start({ tenant: 'acme', tier: 'pro', region: 'eu', by: 'test' })
  expect(await moves.reached(move.id, 'watching')).toMatchObject({ state: 'watching' })
  expect(await system.control.tenant('acme')).toMatchObject({
    region: 'eu',
    tier: 'pro',
    placement: { cluster: 'eu-1' },
  })
  expect(await keys('eu')).toEqual([key])
  await system.control.keysOf('eu').create(id, { name: 'made there', scopes: ['read'], expiresAt: null })
  await moves.rollback(move.id)
  expect(await moves.reached(move.id, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
  expectNothingLost(await load.stop())
  expect(await keys('us')).toHaveLength(2)
  expect(await keys('eu')).toEqual([])
  const again = await moves.start({ tenant: 'acme', tier: 'enterprise', region: 'eu', by: 'test' })
  await moves.reached(again.id, 'watching')
  await moves.complete(again.id)
  const done = await moves.reached(again.id, 'completed')
  expect(done.certificate).toMatchObject({ askedBy: 'test', left: { rows: 0, notes: 0, fence: 0 } })
  expect(await keys('us')).toEqual([])
  expect(await tenants.for('acme').select().from(schema.tags)).not.toHaveLength(0)
})
