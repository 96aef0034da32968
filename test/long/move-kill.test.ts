import { afterAll, beforeAll, test } from 'vitest'
import { BACKWARD_POINTS, COMPLETE_POINTS, FORWARD_POINTS } from '../move/support/kill.ts'
import { KILL_SETTINGS, killAndResume } from '../move/support/kill-cases.ts'
import { startTwoClusters } from '../move/support/two-clusters.ts'
import type { TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], { moveSettings: KILL_SETTINGS })
})
afterAll(() => system?.close())

/** Another pair each time, so that the points are met on all of them. */
const ROUND = ['schema', 'database', 'shared'] as const
let turn = 0
const next = () => ({ isolation: ROUND[turn % 3]!, cluster: turn++ % 2 ? 'us-1' : 'us-2' })

// Those of the cut-over twice.
test.each([...FORWARD_POINTS, ...FORWARD_POINTS.slice(FORWARD_POINTS.indexOf('before_fence'))])(
  'killed at %s of a move',
  async (point) => {
    await killAndResume(system, 'acme', { ...next(), point })
  },
  60_000,
)

test.each(COMPLETE_POINTS)(
  'killed at %s of the completion',
  async (point) => {
    await killAndResume(system, 'acme', { ...next(), point, afterwards: 'complete' })
  },
  60_000,
)

test.each(BACKWARD_POINTS)(
  'killed at %s of a rollback',
  async (point) => {
    await killAndResume(system, 'acme', { ...next(), point, afterwards: 'rollback' })
  },
  60_000,
)
