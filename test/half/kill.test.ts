import { afterAll, beforeAll, test } from 'vitest'
import { KILL_SETTINGS } from '../move/support/kill-cases.ts'
import { killHalfAndResume } from './kill-cases.ts'
import { startTwoHalves, type TwoHalves } from './world.ts'

let world: TwoHalves
beforeAll(async () => {
  world = await startTwoHalves([{ slug: 'acme', tier: 'free', region: 'us' }], KILL_SETTINGS)
}, 120_000)
afterAll(() => world?.close())

// The places where a half-done cut-over would hurt most; all others are in test/long.
test.each([
  ['reached', 'fenced', 'pro'],
  ['runs', 'flipped', 'free'],
] as const)(
  'the half that %s, killed at %s and started again: the move ends, there is one home, nothing is lost',
  async (who, point, tier) => {
    await killHalfAndResume(world, 'acme', { who, point, tier })
  },
  90_000,
)
