import { describe, expect, test } from 'vitest'
import { createGauges, type Gauge, openGauge } from '../../tiers/move/gauge.ts'
import { openPacer } from '../../tiers/move/pacer.ts'
import {
  beginning,
  HELD_SAMPLES,
  limitOf,
  type Measurement,
  observe,
  REST_SAMPLES,
  type ThrottleState,
  WORK_SAMPLES,
} from '../../tiers/move/throttle.ts'
import { waitUntil } from '../support/wait.ts'

const LIMITS = { ratioMax: 1.2, partMin: 0.05, partMax: 0.8 }
const BEGINNING = beginning(LIMITS)
const measure = (state: ThrottleState, measurements: readonly (Measurement | null)[]) => {
  const parts: number[] = []
  let now = state
  for (const measurement of measurements) {
    now = observe(now, measurement, LIMITS)
    if (now.part !== parts.at(-1)) parts.push(now.part)
  }
  return { now, parts }
}
const feed = (state: ThrottleState, latencies: readonly (number | null)[]) =>
  measure(
    state,
    latencies.map((ms) => (ms === null ? null : { ms, active: 0 })),
  )
const times = <T>(n: number, value: T): T[] => Array.from({ length: n }, () => value)
const rested = feed(BEGINNING, times(REST_SAMPLES, 2)).now

describe('what a move may take from its neighbours', () => {
  test('nothing is decided before the server was measured at rest', () => {
    expect(feed(BEGINNING, times(REST_SAMPLES - 1, 2)).now).toMatchObject({ phase: 'resting', part: BEGINNING.part })
    expect(rested).toMatchObject({ phase: 'working', part: BEGINNING.part })
    expect(limitOf(rested, LIMITS)).toEqual({ ms: expect.closeTo(2.9), active: 1 })
  })

  test('it falls while neighbours wait longer than they may, down to what a move always has, and rises again after', () => {
    const suffering = feed(rested, times(60, 9))
    expect(suffering.parts).toEqual(suffering.parts.toSorted((a, b) => b - a))
    expect(suffering.now.part).toBe(LIMITS.partMin)
    const well = feed(suffering.now, times(400, 2.5))
    expect(well.parts).toEqual(well.parts.toSorted((a, b) => a - b))
    expect(well.now.part).toBe(LIMITS.partMax)
    // Down is quicker than up.
    expect(suffering.parts.length).toBeLessThan(well.parts.length)
  })

  test('one slow answer in ten is what any machine shows, and holds nothing back', () => {
    const one = (i: number) => i % 10 === 0
    const two = (i: number) => one(i) || i % 10 === 5
    const answers = (isSlow: (i: number) => boolean) => Array.from({ length: 400 }, (_, i) => (isSlow(i) ? 50 : 2))
    expect(feed(rested, answers(one)).now.part).toBe(LIMITS.partMax)
    expect(feed(rested, answers(two)).parts).toContain(LIMITS.partMin)
  })

  test('more statements at a time than at rest are neighbours who wait, though each measurement is as quick as before', () => {
    const many = (active: number, count = 60) => times(count, { ms: 2, active })
    const calm = measure(BEGINNING, many(5, REST_SAMPLES)).now
    expect(limitOf(calm, LIMITS)).toEqual({ ms: expect.closeTo(2.9), active: 7 })
    expect(measure(calm, many(8)).now.part).toBe(LIMITS.partMin)
    expect(measure(calm, many(7, 400)).now.part).toBe(LIMITS.partMax)
    // Two where there was none, now and then, is chance.
    const quiet = measure(BEGINNING, many(0, REST_SAMPLES)).now
    expect(measure(quiet, many(1, 400)).now.part).toBe(LIMITS.partMax)
  })

  test('a count holds until the next one of the same phase, and none from work is taken for one at rest', () => {
    const uncounted = times(REST_SAMPLES - 1, { ms: 2, active: null })
    const calm = measure(BEGINNING, [{ ms: 2, active: 5 }, ...uncounted]).now
    expect(limitOf(calm, LIMITS)).toMatchObject({ active: 7 })
    // Until somebody has counted, it is the time alone that decides.
    expect(measure(calm, times(400, { ms: 2, active: null })).now.part).toBe(LIMITS.partMax)
    const worked = measure(calm, [{ ms: 2, active: 90 }, ...times(HELD_SAMPLES, { ms: 2, active: null })]).now
    expect(worked).toMatchObject({ phase: 'resting', part: LIMITS.partMin })
    expect(limitOf(measure(worked, uncounted).now, LIMITS)).toMatchObject({ active: 7 })
    // Nobody has ever counted at rest: then a count decides nothing.
    const unknown = measure(BEGINNING, times(REST_SAMPLES, { ms: 2, active: null })).now
    expect(limitOf(unknown, LIMITS)).toMatchObject({ active: null })
    expect(measure(unknown, times(400, { ms: 2, active: 90 })).now.part).toBe(LIMITS.partMax)
  })

  test('a server that becomes busier by itself is not taken for our doing: the baseline is taken again at rest', () => {
    const busier = feed(rested, times(HELD_SAMPLES + 1, 6)).now
    expect(busier).toMatchObject({ phase: 'resting', part: LIMITS.partMin })
    expect(feed(rested, times(WORK_SAMPLES, 2)).now).toMatchObject({ phase: 'resting', part: LIMITS.partMax })
    const again = feed(busier, times(3 * (REST_SAMPLES + WORK_SAMPLES), 6)).now
    expect(again.part).toBe(LIMITS.partMax)
  })

  test('a server that does not answer suffers, and holds a move for ever neither at rest nor at work', () => {
    expect(feed(rested, times(60, null)).now.part).toBe(LIMITS.partMin)
    expect(feed(BEGINNING, times(3, null)).now).toMatchObject({ phase: 'working', part: LIMITS.partMin })
  })
})

/** A gauge whose numbers a test sets. */
function gaugeOf(part: number, resting = false) {
  const state = { part, resting, wayMs: 0, working: 0, most: 0, closed: 0 }
  let waiting: (() => void)[] = []
  const gauge: Gauge = {
    part: () => state.part,
    heldBack: () => 1 - state.part,
    wayMs: () => state.wayMs,
    isResting: () => state.resting,
    enter() {
      if (state.resting) throw new Error('somebody works while the server is measured at rest')
      state.most = Math.max(state.most, ++state.working)
      return () => {
        state.working--
      }
    },
    rested: () => new Promise((resolve) => waiting.push(resolve)),
    async close() {
      state.closed++
    },
  }
  const setResting = (value: boolean) => {
    state.resting = value
    if (!value) for (const go of waiting.splice(0)) go()
    waiting = []
  }
  return { state, gauge, setResting }
}
const pacerOf = (ends: Record<string, Gauge>, freeMs = 0, signal = new AbortController().signal) =>
  openPacer({ clusters: Object.keys(ends), gauges: createGauges((c) => ends[c]!), signal, freeMs })

describe('the turn that pieces of work wait for', () => {
  test('a piece is as large as the worse of the two servers allows', async () => {
    const [a, b] = [gaugeOf(0.8), gaugeOf(0.3)]
    const pacer = pacerOf({ a: a.gauge, b: b.gauge })
    expect(await pacer.paced(async (part) => part)).toBe(0.3)
    expect(pacer.heldBack()).toBeCloseTo(0.7)
    await pacer.close()
    expect([a.state.closed, b.state.closed]).toEqual([1, 1])
  })

  test('pieces of one kind begin small, grow until they last a moment, and get smaller again where they last longer', async () => {
    const pacer = pacerOf({ a: gaugeOf(1).gauge })
    const inPieces = pacer.pieces()
    let msPerPart = 40
    const run = async (times: number) => {
      const parts: number[] = []
      for (let i = 0; i < times; i++) {
        const work = async (part: number) => {
          parts.push(part)
          // By the clock that the pacer reads, and not by a timer, which would be late.
          for (const until = performance.now() + 2 + part * msPerPart; performance.now() < until; );
        }
        await inPieces(work)
      }
      return parts
    }
    const quick = await run(12)
    expect(quick[0]).toBeLessThan(0.02)
    expect(quick[1]).toBeGreaterThan(quick[0]!)
    const [grown] = quick.slice(-1)
    expect(grown).toBeGreaterThan(4 * quick[0]!)
    msPerPart = 4_000
    const slow = await run(12)
    expect(slow.at(-1)).toBeLessThan(grown! / 2)
    // However slow, a move goes on.
    expect(Math.min(...slow)).toBeGreaterThan(0.01)
    await pacer.close()
  })

  test('who works side by side has the part together, and not each', async () => {
    const pacer = pacerOf({ a: gaugeOf(0.5).gauge })
    const began = performance.now()
    let workedMs = 0
    const work = async () => {
      const from = performance.now()
      await new Promise((resolve) => setTimeout(resolve, 10))
      workedMs += performance.now() - from
    }
    const worker = async () => {
      for (let i = 0; i < 20; i++) await pacer.paced(work)
    }
    await Promise.all([worker(), worker(), worker()])
    // Each alone would have worked half of the time, and all together 1.5 times.
    expect(workedMs / (performance.now() - began)).toBeLessThan(0.75)
    await pacer.close()
  })

  test('the way to a server far away is no work to rest from', async () => {
    const a = gaugeOf(0.01)
    a.state.wayMs = 1_000
    const pacer = pacerOf({ a: a.gauge })
    const began = performance.now()
    const work = () => new Promise((resolve) => setTimeout(resolve, 10))
    for (let i = 0; i < 5; i++) await pacer.paced(work)
    const farMs = performance.now() - began
    a.state.wayMs = 0
    const from = performance.now()
    await pacer.paced(work)
    // One rest of a hundred times the work is longer than all of that.
    expect(farMs).toBeLessThan(performance.now() - from)
    await pacer.close()
  })

  test('a piece of one kind is no larger than what the servers allow', async () => {
    const pacer = pacerOf({ a: gaugeOf(0.05).gauge })
    const inPieces = pacer.pieces()
    const parts = []
    for (let i = 0; i < 6; i++) parts.push(await inPieces(async (part) => part))
    expect(Math.max(...parts)).toBe(0.05)
    await pacer.close()
  })

  test('nobody begins while one of the servers is measured at rest, and nothing is held while waiting', async () => {
    const [a, b] = [gaugeOf(1), gaugeOf(1, true)]
    const pacer = pacerOf({ a: a.gauge, b: b.gauge })
    const order: string[] = []
    const both = Promise.all([1, 2].map((n) => pacer.paced(async () => order.push(`piece ${n}`))))
    await new Promise((resolve) => setImmediate(resolve))
    expect(a.state.working).toBe(0)
    order.push('rested')
    b.setResting(false)
    await both
    expect(order).toEqual(['rested', 'piece 1', 'piece 2'])
  })

  test('a piece that fails leaves the turn to others', async () => {
    const a = gaugeOf(1)
    const pacer = pacerOf({ a: a.gauge })
    await expect(pacer.paced(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(a.state.working).toBe(0)
  })

  test('a small tenant is copied without a measurement', async () => {
    const pacer = openPacer({
      clusters: ['a'],
      gauges: createGauges(() => expect.fail('a gauge was opened')),
      signal: new AbortController().signal,
      freeMs: 60_000,
    })
    expect(await pacer.paced(async (part) => part)).toBe(1)
    expect(pacer.heldBack()).toBe(0)
  })

  test('a mover that closes waits for no rest', async () => {
    const a = gaugeOf(1, true)
    const stop = new AbortController()
    const waiting = pacerOf({ a: a.gauge }, 0, stop.signal).paced(async () => {})
    stop.abort(new Error('closing'))
    await expect(waiting).rejects.toThrow('closing')
  })

  test('moves on one server share its gauge, which lives as long as one of them', async () => {
    const a = gaugeOf(1)
    let opened = 0
    const gauges = createGauges(() => {
      opened++
      return a.gauge
    })
    const [one, two] = [gauges.take('a'), gauges.take('a')]
    await one.giveBack()
    expect([opened, a.state.closed]).toEqual([1, 0])
    await two.giveBack()
    expect(a.state.closed).toBe(1)
  })
})

test('a baseline holds nothing that was measured while somebody worked', async () => {
  let latency = 100
  const states: ThrottleState[] = []
  const gauge = openGauge({
    probe: { sample: async () => ({ ms: latency, active: 0 }), wayMs: () => 0, close: async () => {} },
    limits: LIMITS,
    everyMs: 0,
    onState: (s) => states.push(s),
  })
  const leave = gauge.enter()
  const seen = states.length
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 1))
  expect(states.slice(seen)).toEqual([])
  latency = 2
  leave()
  await waitUntil('the rest to be over', () => !gauge.isResting())
  expect(Math.max(...states.find((s) => s.phase === 'working')!.baseline.map((m) => m.ms))).toBe(2)
  await gauge.close()
})
