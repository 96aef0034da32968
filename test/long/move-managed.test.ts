import { afterAll, expect, test } from 'vitest'
import { expectNothingLost, startLoad } from '../move/support/load.ts'
import { ODD_MIGRATIONS } from '../move/support/odd-rows.ts'
import { oddWalk } from '../move/support/odd-walk.ts'
import { startTwoClusters, TIER_OF } from '../move/support/two-clusters.ts'
import type { TestSystem } from '../support/system.ts'

const systems: TestSystem[] = []
afterAll(async () => {
  for (const system of systems) await system.close()
})

test('on PostgreSQL 15 a role that is no superuser moves rows of every odd kind through all models', async () => {
  const tenants = [
    { slug: 'acme', tier: 'pro', region: 'us' },
    { slug: 'other', tier: 'free', region: 'us' },
  ] as const
  const system = await startTwoClusters(tenants, {
    migrationsFolder: ODD_MIGRATIONS,
    version: 15,
    adminRole: 'managed',
  })
  systems.push(system)
  system.control.moves.run()
  await oddWalk(system)
}, 240_000)

test.each([15, 18] as const)(
  'on PostgreSQL %s a role that is no superuser moves a tenant that is written to through all models, and back: nothing is lost and no request fails',
  async (version) => {
    const tenants = [
      { slug: 'acme', tier: 'free', region: 'us' },
      { slug: 'other', tier: 'free', region: 'us' },
    ] as const
    const system = await startTwoClusters(tenants, { version, adminRole: 'managed' })
    systems.push(system)
    const { moves } = system.control
    moves.run()
    const load = await startLoad(await system.openTenants('us'), 'acme', 1)
    for (const isolation of ['schema', 'shared', 'database', 'shared', 'shared'] as const) {
      const here = (await system.control.tenant('acme')).placement!
      const cluster = here.cluster === 'us-1' ? 'us-2' : 'us-1'
      for (const [asked, end] of [
        ['rollback', 'rolled_back'],
        ['complete', 'completed'],
      ] as const) {
        const { id } = await moves.start({ tenant: 'acme', tier: TIER_OF[isolation], cluster, by: 'test' })
        const move = await moves.reached(id, 'watching')
        expect(move, `${move.reason}`).toMatchObject({ state: 'watching' })
        await moves[asked](id)
        const ended = await moves.reached(id, end)
        expect(ended, `${ended.reason}`).toMatchObject({ state: end })
      }
    }
    expectNothingLost(await load.stop())
  },
  300_000,
)
