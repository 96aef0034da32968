import { afterAll, beforeAll, test } from 'vitest'
import { ODD_MIGRATIONS } from '../move/support/odd-rows.ts'
import { oddWalk } from '../move/support/odd-walk.ts'
import { startTwoClusters } from '../move/support/two-clusters.ts'
import type { TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  const tenants = [
    { slug: 'acme', tier: 'pro', region: 'us' },
    { slug: 'other', tier: 'free', region: 'us' },
  ] as const
  system = await startTwoClusters(tenants, { migrationsFolder: ODD_MIGRATIONS, version: 15 })
  system.control.moves.run()
})
afterAll(() => system?.close())

test(
  'on PostgreSQL 15 every odd type, key, reference and circle arrives as it was, and ids continue without a collision',
  () => oddWalk(system),
  90_000,
)
