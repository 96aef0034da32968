import { afterAll, beforeAll, expect, test } from 'vitest'
import { killHalfAndResume } from '../half/kill-cases.ts'
import { startTwoHalves, type TwoHalves } from '../half/world.ts'
import { COMPLETE_POINTS } from '../move/support/kill.ts'
import { KILL_SETTINGS } from '../move/support/kill-cases.ts'
import { expectNothingLeft, openFences } from '../move/support/left.ts'
import { expectNothingLost, startLoad } from '../move/support/load.ts'
import { waitUntil } from '../support/wait.ts'

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
test.each(['room_made', 'loaded', 'opened', 'flipped'])(
  'the half that runs it, killed at %s of a move',
  async (point) => {
    await killHalfAndResume(world, 'acme', { who: 'runs', point, tier: next() })
  },
  90_000,
)

test('the half that it reaches the other end by, dead for good before the flip: the move is given up, and the tenant is served all the while', async () => {
  const { system, control } = world
  const { moves } = control
  const { id: tenant, region } = await system.control.tenant('acme')
  const to = region === 'us' ? 'eu' : 'us'
  const tenants = await system.openTenants()
  const load = await startLoad(tenants, 'acme', 1)
  await world.halves[to].kill()
  const runs = await world.start(to, 'state:catching_up')
  const { id } = await moves.start({ tenant: 'acme', tier: next(), region: to, by: 'test' })
  await runs.stopped
  await world.halves[region as 'us' | 'eu'].kill()
  runs.goOn()
  expect((await moves.reached(id, 'aborting')).state).toBe('aborting')
  const served = load.operations()
  await waitUntil('it is served', () => load.operations() > served + 50)
  await world.start(region as 'us' | 'eu')
  const move = await moves.reached(id, 'aborted')
  expect(move).toMatchObject({ state: 'aborted', reason: expect.stringContaining('half of the mover') })
  expectNothingLost(await load.stop())
  await expectNothingLeft(system, move.to.placement, tenant)
  expect(await openFences(system, tenant)).toHaveLength(1)
  await tenants.close()
}, 120_000)

// In every phase, and at each step of the cut-over that needs the other end; the mover's own death is tried at every point.
test.each(['chunk', 'pass', 'applied', 'fenced', 'opened', 'flipped'])(
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

test.each(['pass', 'fenced', 'flipped'])(
  'the same, killed at %s of a rollback',
  async (point) => {
    await killHalfAndResume(world, 'acme', { who: 'reached', point, tier: next(), afterwards: 'rollback' })
  },
  90_000,
)
