import { afterAll, beforeAll, test } from 'vitest'
import { breakAndMend, type FaultCase, type Phase } from '../move/support/fault-cases.ts'
import { type FaultLab, startFaultLab } from '../move/support/fault-lab.ts'
import { FAULTS, faultNamed } from '../move/support/faults.ts'
import { ABORT_POINTS, BACKWARD_POINTS, COMPLETE_POINTS, FORWARD_POINTS } from '../move/support/kill.ts'

/** Another number breaks other things at other points: FAULT_SEED=7 npm run test:long */
const SEED = Number(process.env.FAULT_SEED ?? 1)
const CASES = Number(process.env.FAULT_CASES ?? 44)

let lab: FaultLab
beforeAll(async () => {
  lab = await startFaultLab()
})
afterAll(() => lab?.close())

const at = (phase: Phase, points: readonly string[]) => points.map((point) => ({ phase, point }))
const POINTS = shuffled([
  ...at('move', FORWARD_POINTS),
  ...at('completion', COMPLETE_POINTS),
  ...at('rollback', BACKWARD_POINTS),
  ...at('abort', ABORT_POINTS),
])
const KINDS = shuffled(FAULTS)
const ROOMS = ['schema', 'database', 'shared'] as const

/** What is worst whatever the number: the point of no return, and nobody says whether it was passed. */
const ALWAYS: readonly Omit<FaultCase, 'isolation'>[] = [
  'answers that never come between the mover and the control',
  'a network that forgets connections between the mover and the control',
  'kill -9 of the control server',
  'the end of the mover’s connections to the control',
].flatMap((name) => [
  { fault: faultNamed(name), phase: 'move', point: 'opened' },
  { fault: faultNamed(name), phase: 'rollback', point: 'opened' },
])

// Every kind and every point, and as their numbers have no common divisor never the same pair of them.
const DRAWN = Array.from({ length: Math.max(0, CASES - ALWAYS.length) }, (_, i) => ({
  fault: KINDS[i % KINDS.length]!,
  ...POINTS[i % POINTS.length]!,
}))

test.each([...ALWAYS, ...DRAWN].map((c, i) => ({ ...c, isolation: ROOMS[i % ROOMS.length]!, name: c.fault.name })))(
  `$name, at $point of a $phase to $isolation (seed ${SEED})`,
  async (c) => {
    await breakAndMend(lab, c)
  },
  240_000,
)

/** By the seed: the same each time. */
function shuffled<T>(values: readonly T[]): T[] {
  let state = SEED
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  return values
    .map((value) => ({ value, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ value }) => value)
}
