import { afterAll, beforeAll, test } from 'vitest'
import type { TestSystem } from '../support/system.ts'
import { KILL_SETTINGS, killAndResume } from './support/kill-cases.ts'
import { startTwoClusters } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], { moveSettings: KILL_SETTINGS })
})
afterAll(() => system?.close())

// Where a half-done cut-over would hurt most; every point is in test/long.
test('a mover killed with the source fenced: another one finishes, there is one home, nothing is lost', async () => {
  await killAndResume(system, 'acme', { point: 'fenced', isolation: 'database', cluster: 'us-2' })
}, 60_000)
