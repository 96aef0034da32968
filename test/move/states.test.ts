import { expect, test } from 'vitest'
import {
  EVENTS,
  isBeforeFlip,
  isFinal,
  type MoveState,
  next,
  onTakeover,
  STATES,
  TRANSITIONS,
} from '../../tiers/move/states.ts'
import { STEPS } from '../../tiers/move/steps.ts'

test('every state says of every event what it leads to', () => {
  expect(Object.keys(TRANSITIONS).sort()).toEqual([...STATES].sort())
  for (const state of STATES) {
    expect(Object.keys(TRANSITIONS[state]).sort()).toEqual([...EVENTS].sort())
    for (const event of EVENTS) {
      const to = next(state, event)
      if (to !== null) expect(STATES).toContain(to)
    }
  }
})

test('every state is reached from the first, and an end is reached from every state', () => {
  const reach = (from: MoveState) => {
    const seen = new Set<MoveState>([from])
    for (const state of seen) for (const event of EVENTS) if (next(state, event) !== null) seen.add(next(state, event)!)
    return seen
  }
  expect([...reach('planned')].sort()).toEqual([...STATES].sort())
  for (const state of STATES) expect([...reach(state)].some(isFinal)).toBe(true)
  expect(STATES.filter(isFinal)).toEqual(['completed', 'rolled_back', 'aborted'])
})

test('the flip is the only way past the point of no return', () => {
  const before = STATES.filter(isBeforeFlip)
  const crossings = before.flatMap((s) =>
    EVENTS.flatMap((e) =>
      next(s, e) !== null && !before.includes(next(s, e)!) && next(s, e) !== 'aborting' ? [`${s} ${e}`] : [],
    ),
  )
  expect(crossings).toEqual(['cutting_over done'])
  // Nothing that comes after it leads to the removal of the room that the tenant lives in.
  for (const state of ['watching', 'completing', 'rolling_back', 'returning', 'clearing'] as const) {
    for (const event of EVENTS) expect(next(state, event)).not.toBe('aborting')
  }
})

test('every state that is not an end has work, and an attempt that was taken over is begun anew', () => {
  for (const state of STATES) expect(STEPS[state] === null).toBe(isFinal(state))
  for (const state of STATES) {
    const event = onTakeover(state)
    if (event !== null) expect(next(state, event)).not.toBeNull()
  }
  expect(onTakeover('cutting_over')).toBe('postponed')
  expect(onTakeover('returning')).toBe('postponed')
})
