import { beforeAll, expect, test } from 'vitest'
import { checkModel, hasSpin, type Macros } from '../model/spin.ts'

/** The invariants by the numbers that the model gives them. */
const INVARIANTS = {
  one_room: 1,
  home_only: 2,
  nothing_lost: 3,
  equal_after_pass: 4,
  zombie_refused: 7,
  drained_before_open: 9,
  no_stale_refill: 10,
  served_at_end: 11,
  nothing_left: 12,
  home_open: 13,
} as const

let isThere = false
beforeAll(async () => {
  isThere = await hasSpin()
})

const PROOFS: readonly [what: string, macros: Macros][] = [
  ['two writers, one mover, a statement that runs late', { WRITES: 2, GENERATIONS: 1 }],
  ['a writer, two movers of which one takes over at any step', { WRITES: 1, GENERATIONS: 2, LATES: 0 }],
  ['two takeovers, by two movers in turn, without a writer', { WRITES: 0, GENERATIONS: 3, LATES: 0 }],
  ['two gateways with caches and invalidations', { WRITES: 2, GENERATIONS: 1, LATES: 0, CACHES: true }],
]

test.each(PROOFS)('the protocol holds: %s', async (_, macros) => {
  if (!isThere) return
  const { found, states } = await checkModel(macros)
  console.log(`${states} states`)
  expect(found).toBeNull()
})

test('each move ends, also where its mover dies at an edge between states', async () => {
  if (!isThere) return
  const { found, states } = await checkModel({ WRITES: 1, GENERATIONS: 1, LATES: 0, RELEASED: 8 }, { liveness: true })
  console.log(`${states} states`)
  expect(found).toBeNull()
})

const SMALL = { WRITES: 1, GENERATIONS: 1, LATES: 0 }
const TWO_WRITERS = { ...SMALL, WRITES: 2 }
const TAKEOVER = { ...SMALL, GENERATIONS: 2 }

/** What is left out or done in another order; the invariant that tells; the bounds in which it does. */
const WEAKENINGS: readonly [weakening: string, invariant: keyof typeof INVARIANTS, bounds: Macros][] = [
  // The fence and the flip in one transaction of the mover's, which ends with the mover.
  ['NO_FENCE_COMMIT', 'one_room', TAKEOVER],
  // The snapshot of the last pass begins before the fence is committed.
  ['DRAIN_BEFORE_FENCE', 'nothing_lost', SMALL],
  ['NO_GENERATION_CHECK', 'zombie_refused', { ...TAKEOVER, WRITES: 0 }],
  // `id <= max` in place of the notes that the snapshot shows.
  ['NOTES_UP_TO_MAX', 'nothing_lost', TWO_WRITERS],
  ['NOTES_DELETED_FIRST', 'equal_after_pass', TAKEOVER],
  ['ABORT_WITHOUT_CAS', 'home_only', TAKEOVER],
  ['EPOCH_REUSED', 'nothing_lost', SMALL],
  ['OPEN_BEFORE_DRAIN', 'drained_before_open', SMALL],
  // What a source did not forget beside the flip is not looked for when the tenant is back.
  ['NOTES_LEFT_AT_HOME', 'nothing_left', SMALL],
  // The notes of the way back are switched on when the tenant writes there already.
  ['CAPTURE_AFTER_OPEN', 'equal_after_pass', SMALL],
  // Notes are switched on while somebody is inside.
  ['CAPTURE_WITHOUT_LOCK', 'nothing_lost', SMALL],
  ['GATEWAY_IGNORES_FENCE', 'home_only', SMALL],
  // An answer of the directory is kept that is older than an invalidation.
  ['STALE_REFILL', 'no_stale_refill', { ...SMALL, CACHES: true }],
  ['FLIP_BY_STATE_ALONE', 'nothing_lost', TAKEOVER],
  ['FLIP_OF_ANY_ATTEMPT', 'home_open', SMALL],
  // The source is opened again while the flip's answer is out.
  ['DEADLINE_OVER_FLIP', 'home_only', SMALL],
  ['ANNOUNCED_WITHOUT_LEASE', 'served_at_end', { WRITES: 0, GENERATIONS: 3, LATES: 0 }],
  // What an attempt left running is not shut out of the next one.
  ['SAME_NUMBER_AGAIN', 'served_at_end', { WRITES: 0, GENERATIONS: 1, LATES: 1 }],
]

test.each(WEAKENINGS)('the checker refutes %s by %s', async (weakening, invariant, bounds) => {
  if (!isThere) return
  const number = INVARIANTS[invariant]
  const { found } = await checkModel({ ...bounds, [weakening]: true, ONLY: number }, { stuckIsFine: true })
  expect(found).toContain(`assertion violated ((${number}!=${number})`)
})
