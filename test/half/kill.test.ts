import { afterAll, beforeAll, test } from 'vitest'
import { KILL_SETTINGS } from '../move/support/kill-cases.ts'
import { killHalfAndResume } from './kill-cases.ts'
import { startTwoHalves, type TwoHalves } from './world.ts'

let world: TwoHalves
beforeAll(async () => {
  world = await startTwoHalves([{ slug: 'acme', tier: 'free', region: 'us' }], KILL_SETTINGS)
}, 120_000)
afterAll(() => world?.close())

// Where a half-done cut-over would hurt most; other points are in test/long.
test('the half that runs a move, killed when it has flipped and started again: the move ends, there is one home, nothing is lost', async () => {
  await killHalfAndResume(world, 'acme', { who: 'runs', point: 'flipped', tier: 'free' })
}, 90_000)
