/** What a move is doing, and what may happen to it. Nothing here touches a database; SPEC.md draws the same as a picture. */

export const STATES = [
  'planned',
  'preparing',
  'copying',
  'catching_up',
  'verifying',
  'cutting_over',
  'watching',
  'completing',
  'completed',
  'rolling_back',
  'returning',
  'clearing',
  'rolled_back',
  'aborting',
  'aborted',
] as const
export type MoveState = (typeof STATES)[number]

export const EVENTS = [
  /** The state's own work is done. */
  'done',
  /** Too much has changed meanwhile, or the attempt overran its bound: the source serves again, and it is tried again. */
  'postponed',
  /** An operator, or a failure, ends the move: the tenant stays, or is again, where it was. */
  'given_up',
  /** An operator wants the tenant back where it came from. */
  'rollback',
] as const
export type MoveEvent = (typeof EVENTS)[number]

/**
 * For every state what each event leads to; null where the event has no place there. `cutting_over` and `returning` are
 * left by 'done' only together with the directory: that is the point of no return, one compare-and-set.
 */
export const TRANSITIONS: Readonly<Record<MoveState, Readonly<Record<MoveEvent, MoveState | null>>>> = {
  planned: { done: 'preparing', postponed: null, given_up: 'aborting', rollback: null },
  preparing: { done: 'copying', postponed: null, given_up: 'aborting', rollback: null },
  copying: { done: 'catching_up', postponed: null, given_up: 'aborting', rollback: null },
  catching_up: { done: 'verifying', postponed: null, given_up: 'aborting', rollback: null },
  verifying: { done: 'cutting_over', postponed: 'catching_up', given_up: 'aborting', rollback: null },
  cutting_over: { done: 'watching', postponed: 'catching_up', given_up: 'aborting', rollback: null },
  watching: { done: 'completing', postponed: null, given_up: null, rollback: 'rolling_back' },
  completing: { done: 'completed', postponed: null, given_up: null, rollback: null },
  completed: { done: null, postponed: null, given_up: null, rollback: null },
  rolling_back: { done: 'returning', postponed: null, given_up: 'watching', rollback: null },
  returning: { done: 'clearing', postponed: 'rolling_back', given_up: 'watching', rollback: null },
  clearing: { done: 'rolled_back', postponed: null, given_up: null, rollback: null },
  rolled_back: { done: null, postponed: null, given_up: null, rollback: null },
  aborting: { done: 'aborted', postponed: null, given_up: null, rollback: null },
  aborted: { done: null, postponed: null, given_up: null, rollback: null },
}

/** @returns null where the event has no place in that state */
export function next(state: MoveState, event: MoveEvent): MoveState | null {
  return TRANSITIONS[state][event]
}

/** Nothing leads out of it. */
export function isFinal(state: MoveState): boolean {
  return EVENTS.every((event) => TRANSITIONS[state][event] === null)
}

/** Up to here, the flip, a move can be given up and the tenant has never left. */
export function isBeforeFlip(state: MoveState): boolean {
  return TRANSITIONS[state].given_up === 'aborting'
}

/** What a takeover does first: an attempt at the cut-over that somebody else began is undone and made anew. */
export function onTakeover(state: MoveState): MoveEvent | null {
  return state === 'verifying' || state === 'cutting_over' || state === 'returning' ? 'postponed' : null
}
