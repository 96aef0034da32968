/**
 * How much of the time a move may work, decided from two numbers: how long a small, always equal piece of work takes on
 * a server, and how many statements of others are under way there (`probe.ts`). Pure: it is given measurements one by one
 * and knows no clock.
 *
 * The second feels what the first does not. A piece of work that has slept is given a processor before those who have not,
 * and so is quick where processors are what everybody lacks. But statements that come as often as before and are more at a
 * time take longer, each of them, whatever they wait for: L = lambda W (Little, 1961).
 *
 * The comparison is with the same server while no move works there, and not with a number from before the move: every so
 * often the move rests for a moment and the baseline is taken again, so neighbours who become busier by themselves are not
 * taken for our doing, and a baseline that was taken at a bad moment does not last. What follows is the rule by which TCP
 * shares a line (additive increase, multiplicative decrease: Chiu and Jain, 1989): a little more while nobody suffers, much
 * less as soon as somebody does, so that several moves on one server settle at equal parts.
 */

export interface Measurement {
  /** What the piece of work took, in milliseconds. */
  readonly ms: number
  /** Statements of others that were under way; null where they were not counted. */
  readonly active: number | null
}

export interface ThrottleLimits {
  /** The slow end of the measurements may be this many times that of the server at rest. */
  readonly ratioMax: number
  /** No more than this part of the time is worked, however well the server is: a processor that others lack now and then shows in no measurement. */
  readonly partMax: number
  /** Below this part of the full speed a move is not held back: it has to end some time. */
  readonly partMin: number
}

export interface ThrottleState {
  /** `resting`: nobody works, and what is measured is the baseline. */
  readonly phase: 'resting' | 'working'
  /** Measurements at rest, the newest last. */
  readonly baseline: readonly Measurement[]
  /** Of the present phase. */
  readonly measured: number
  /** What was counted last in it: that holds until the next count, and a count from work says nothing of a rest. */
  readonly active: number | null
  /** Measurements since the last decision, and how many of them were over the limit. */
  readonly seen: number
  readonly slow: number
  /** The part of the time that may be worked. */
  readonly part: number
}

export const REST_SAMPLES = 40
export const WORK_SAMPLES = 800
/** Where little is left to a move, what is measured is hardly its doing: that is looked at sooner. */
export const HELD_SAMPLES = 200
const BASELINE_SAMPLES = 3 * REST_SAMPLES
const BATCH_SAMPLES = 20
/** More than one in ten of a batch over the limit: not the one that any machine shows now and then. */
const SLOW_MAX = 2
const MISSES_MAX = 3
/** Of the most that is allowed. */
const INCREASE = 0.1
const DECREASE = 0.6
/** Nobody's request notices less, and the timers of two machines do not agree better. */
const SLACK_MS = 0.5
/** On a quiet server, where there is one statement at a time or none, chance has two meet. */
const SLACK_ACTIVE = 1

/** It begins with a rest, and not at full speed: the first decisions come when a copy may be half done. */
export function beginning({ partMax }: ThrottleLimits): ThrottleState {
  return { phase: 'resting', baseline: [], measured: 0, active: null, seen: 0, slow: 0, part: partMax / 2 }
}

/** What a measurement must not be over: the 95th percentile at rest, with what may be added to it. Null where it is not known. */
export function limitOf({ baseline }: ThrottleState, { ratioMax }: ThrottleLimits): Measurement | null {
  if (baseline.length === 0) return null
  const counts = baseline.flatMap(({ active }) => active ?? [])
  return {
    ms: slowEnd(baseline.map((m) => m.ms)) * ratioMax + SLACK_MS,
    active: counts.length === 0 ? null : slowEnd(counts) * ratioMax + SLACK_ACTIVE,
  }
}

function slowEnd(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(0.95 * (values.length - 1))]!
}

function isOver(measurement: Measurement | null, limit: Measurement | null): boolean {
  if (measurement === null || limit === null || measurement.ms > limit.ms) return true
  return measurement.active !== null && limit.active !== null && measurement.active > limit.active
}

/**
 * @param measurement null where the server did not answer
 * @returns the state after this measurement
 */
export function observe(state: ThrottleState, measurement: Measurement | null, limits: ThrottleLimits): ThrottleState {
  const active = measurement?.active ?? state.active
  const [now, complete] = [{ ...state, active }, measurement && { ...measurement, active }]
  return state.phase === 'resting' ? rest(now, complete, limits) : work(now, complete, limits)
}

function rest(state: ThrottleState, measurement: Measurement | null, { partMin }: ThrottleLimits): ThrottleState {
  const begun = { ...state, phase: 'working', measured: 0, active: null, seen: 0, slow: 0 } as const
  if (measurement === null) {
    // A server that cannot be measured is treated as one that suffers; it must not hold the move for ever.
    const slow = state.slow + 1
    return slow < MISSES_MAX ? { ...state, slow } : { ...begun, part: partMin }
  }
  const measured = state.measured + 1
  const baseline = [...state.baseline, measurement].slice(-BASELINE_SAMPLES)
  return measured < REST_SAMPLES ? { ...state, measured, baseline } : { ...begun, baseline }
}

function work(state: ThrottleState, measurement: Measurement | null, limits: ThrottleLimits): ThrottleState {
  const { partMin, partMax } = limits
  const measured = state.measured + 1
  const [seen, slow] = [state.seen + 1, state.slow + (isOver(measurement, limitOf(state, limits)) ? 1 : 0)]
  // Not at the end of the batch only: on a server that stands still twenty measurements take long.
  if (slow > SLOW_MAX) return after({ ...state, measured, part: Math.max(partMin, state.part * DECREASE) }, partMin)
  if (seen >= BATCH_SAMPLES)
    return after({ ...state, measured, part: Math.min(partMax, state.part + INCREASE * partMax) }, partMin)
  return { ...state, measured, seen, slow }
}

function after(state: ThrottleState, partMin: number): ThrottleState {
  const isRestDue = state.measured >= (state.part > partMin ? WORK_SAMPLES : HELD_SAMPLES)
  return { ...state, seen: 0, slow: 0, ...(isRestDue ? { phase: 'resting', measured: 0, active: null } : {}) }
}
