import { afterAll, beforeAll, test } from 'vitest'
import { killHalfAndResume } from '../half/kill-cases.ts'
import { startTwoHalves, type TwoHalves } from '../half/world.ts'
import { BACKWARD_POINTS, COMPLETE_POINTS, FORWARD_POINTS } from '../move/support/kill.ts'
import { KILL_SETTINGS } from '../move/support/kill-cases.ts'

let world: TwoHalves
beforeAll(async () => {
  world = await startTwoHalves([{ slug: 'acme', tier: 'free', region: 'us' }], KILL_SETTINGS)
}, 120_000)
afterAll(() => world?.close())

/** Another model each time, so that the points are met on all of them; every other move leads home again. */
const ROUND = ['pro', 'enterprise', 'free'] as const
let turn = 0
const next = () => ROUND[turn++ % 3]!

// The death of the half that runs the move is a mover's, which move-kill.test.ts goes through from point to point.
test.each(['room_made', 'loaded', 'opened'])(
  'the half that runs it, killed at %s of a move',
  async (point) => {
    await killHalfAndResume(world, 'acme', { who: 'runs', point, tier: next() })
  },
  90_000,
)

test.each(FORWARD_POINTS)(
  'the half that it reaches the other end by, killed at %s of a move',
  async (point) => {
    await killHalfAndResume(world, 'acme', { who: 'reached', point, tier: next() })
  },
  90_000,
)

test.each(COMPLETE_POINTS)(
  'the same, killed at %s of the completion',
  async (point) => {
    await killHalfAndResume(world, 'acme', { who: 'reached', point, tier: next(), afterwards: 'complete' })
  },
  90_000,
)

test.each(BACKWARD_POINTS)(
  'the same, killed at %s of a rollback',
  async (point) => {
    await killHalfAndResume(world, 'acme', { who: 'reached', point, tier: next(), afterwards: 'rollback' })
  },
  90_000,
)
