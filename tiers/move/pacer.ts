import { setTimeout as sleep } from 'node:timers/promises'
import type { Gauge, Gauges } from './gauge.ts'

/**
 * Runs one piece of work in its turn, and rests after it as long as the neighbours need.
 *
 * @param work is given how large a piece it may be, as a part of a full one: over 0, up to 1
 * @throws what the work throws, and the signal's reason
 */
export type Paced = <T>(work: (part: number) => Promise<T>) => Promise<T>

/** What a move asks before each piece of work that its neighbours on the two servers may feel. */
export interface Pacer {
  paced: Paced
  /** For work that is done in pieces of one kind: it learns how large one may be without being long. */
  pieces(): Paced
  /** How much of the speed that it may have at the most is held back at the moment: 0 to under 1. */
  heldBack(): number
  close(): Promise<void>
}

/** As fast as it goes. */
export const UNPACED: Pacer = {
  paced: (work) => work(1),
  pieces: () => (work) => work(1),
  heldBack: () => 0,
  close: async () => {},
}

export interface PacerOptions {
  /** Both ends; the slower one decides. */
  readonly clusters: readonly string[]
  readonly gauges: Gauges
  readonly signal: AbortSignal
  /** After each piece: {@link Pacer.heldBack}. */
  readonly onHeldBack?: (part: number) => void
  /** Of work that nothing is asked about: most tenants are small, and copied in less time than a measurement takes. */
  readonly freeMs: number
}

const REST_MAX_MS = 3_000
/** Of a piece, about. */
const TRIPS = 8
const PIECE_MS = 10
/** The first piece's, before anything is known of them. */
const SIZE_MIN = 1 / 64
const GROWTH_MAX = 4

export function openPacer({ clusters, gauges, signal, freeMs, onHeldBack }: PacerOptions): Pacer {
  let taken: readonly ReturnType<Gauges['take']>[] = []
  let spentMs = 0
  const timed = async <T>(work: () => Promise<T>) => {
    const started = performance.now()
    const value = await work()
    const tookMs = performance.now() - started
    spentMs += tookMs
    onHeldBack?.(heldBack())
    return { value, tookMs }
  }
  const heldBack = () => Math.max(0, ...taken.map((t) => t.gauge.heldBack()))
  let callers = 0
  const paced: Paced = async (work) => {
    signal.throwIfAborted()
    if (spentMs < freeMs) return (await timed(() => work(1))).value
    callers++
    return inTurn(work).finally(() => {
      callers--
    })
  }
  const inTurn: Paced = async (work) => {
    if (taken.length === 0) taken = [...new Set(clusters)].map((c) => gauges.take(c))
    const all = taken.map((t) => t.gauge)
    const part = await turn(all, signal)
    const leave = all.map((g) => g.enter())
    const { value, tookMs } = await timed(() => work(part)).finally(() => {
      for (const end of leave) end()
    })
    // A server far away is waited for, and not worked on.
    const workedMs = Math.max(0, tookMs - TRIPS * Math.max(...all.map((g) => g.wayMs())))
    // A shorter piece, and then a rest: long pieces with long rests would let the unlucky ones wait as before. What works
    // side by side has the part together.
    await sleep(Math.min(REST_MAX_MS, workedMs * (callers / part - 1)), undefined, { signal }).catch(() => {})
    return value
  }
  return {
    paced,
    pieces: () => sized(paced),
    heldBack,
    async close() {
      await Promise.all(taken.map((t) => t.giveBack()))
      taken = []
    },
  }
}

/**
 * Long pieces are felt however long the rest after them: who asks for a processor meanwhile waits behind them. So a piece is
 * as large as fits into a moment, to which is added what even a small one takes, such as the way to a server far away.
 */
function sized(paced: Paced): Paced {
  let size = SIZE_MIN
  let leastMs = Number.POSITIVE_INFINITY
  return (work) =>
    paced(async (part) => {
      const asked = Math.min(part, size)
      const started = performance.now()
      const value = await work(asked)
      const tookMs = Math.max(1, performance.now() - started)
      leastMs = Math.min(leastMs, tookMs)
      const growth = Math.min(GROWTH_MAX, (PIECE_MS + leastMs) / tookMs)
      size = Math.max(SIZE_MIN, Math.min(1, asked * growth))
      return value
    })
}

/** Waits until none of the servers rests. Nothing is held meanwhile, or two moves could wait for each other. */
async function turn(all: readonly Gauge[], signal: AbortSignal): Promise<number> {
  for (;;) {
    signal.throwIfAborted()
    const resting = all.find((g) => g.isResting())
    if (resting === undefined) return Math.min(...all.map((g) => g.part()))
    await Promise.race([resting.rested(), aborted(signal)])
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
