import { afterAll, beforeAll, test } from 'vitest'
import type { TestSystem } from '../support/system.ts'
import { ODD_MIGRATIONS } from './support/odd-rows.ts'
import { oddWalk } from './support/odd-walk.ts'
import { startTwoClusters } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  const tenants = [
    { slug: 'acme', tier: 'pro', region: 'us' },
    { slug: 'other', tier: 'free', region: 'us' },
  ] as const
  system = await startTwoClusters(tenants, { migrationsFolder: ODD_MIGRATIONS })
  system.control.moves.run()
})
afterAll(() => system?.close())

test(
  'every odd type, key, reference and circle arrives as it was, and ids continue without a collision',
  () => oddWalk(system),
  90_000,
)
