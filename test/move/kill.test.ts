import { afterAll, beforeAll, test } from 'vitest'
import type { TestSystem } from '../support/system.ts'
import { KILL_SETTINGS, killAndResume } from './support/kill-cases.ts'
import { startTwoClusters } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], { moveSettings: KILL_SETTINGS })
})
afterAll(() => system?.close())

// The places where a half-done cut-over would hurt most; all others are in test/long.
test.each([
  ['chunk', 'schema', 'us-1'],
  ['fenced', 'database', 'us-2'],
  ['flipped', 'shared', 'us-1'],
] as const)(
  'a mover killed at %s: another one finishes, there is one home, nothing is lost',
  async (point, isolation, cluster) => {
    await killAndResume(system, 'acme', { point, isolation, cluster })
  },
  60_000,
)
