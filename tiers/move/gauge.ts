import { setTimeout as sleep } from 'node:timers/promises'
import type { Probe } from './probe.ts'
import { beginning, observe, type ThrottleLimits, type ThrottleState } from './throttle.ts'

/** One server's throttle, shared by all moves of this process that work there: they rest together. */
export interface Gauge {
  /** The part of the time that may be worked now. */
  part(): number
  /** How much less that is than it may be at the most, as a part of it: 0 to under 1. */
  heldBack(): number
  /** The way to the server and back, in milliseconds. */
  wayMs(): number
  /** The server is being measured without us: nobody may begin anything. */
  isResting(): boolean
  /** Says that a piece of work begins. @returns to be called when it has ended */
  enter(): () => void
  /** Resolves when a rest is over. */
  rested(): Promise<void>
  close(): Promise<void>
}

export interface GaugeOptions {
  readonly probe: Probe
  readonly limits: ThrottleLimits
  /** Between two measurements. */
  readonly everyMs: number
  /** For tests: what was decided after each measurement. */
  readonly onState?: (state: ThrottleState) => void
}

export function openGauge({ probe, limits, everyMs, onState }: GaugeOptions): Gauge {
  let state = beginning(limits)
  let working = 0
  let closed = false
  const waiting: (() => void)[] = []
  const wake = () => {
    for (const go of waiting.splice(0)) go()
  }
  const measure = async () => {
    while (!closed) {
      const begunAtRest = working === 0
      const measurement = await probe.sample()
      // At rest, only what was measured from beginning to end with nobody at work.
      if (state.phase === 'working' || (begunAtRest && working === 0)) {
        state = observe(state, measurement, limits)
        onState?.(state)
        if (state.phase === 'working') wake()
      }
      await sleep(measurement === null ? everyMs * 10 : everyMs, undefined, { ref: false })
    }
    await probe.close()
    wake()
  }
  const ended = measure()
  return {
    part: () => state.part,
    heldBack: () => 1 - state.part / limits.partMax,
    wayMs: () => probe.wayMs(),
    isResting: () => state.phase === 'resting',
    enter() {
      working++
      return () => {
        working--
      }
    },
    rested: () => new Promise((resolve) => waiting.push(resolve)),
    async close() {
      closed = true
      await ended
    },
  }
}

/** Gauges by cluster, each open as long as somebody has taken it. */
export interface Gauges {
  take(cluster: string): { readonly gauge: Gauge; giveBack(): Promise<void> }
}

export function createGauges(open: (cluster: string) => Gauge): Gauges {
  const known = new Map<string, { gauge: Gauge; takers: number }>()
  return {
    take(cluster) {
      const found = known.get(cluster) ?? { gauge: open(cluster), takers: 0 }
      known.set(cluster, found)
      found.takers++
      return {
        gauge: found.gauge,
        async giveBack() {
          if (--found.takers > 0) return
          known.delete(cluster)
          await found.gauge.close()
        },
      }
    },
  }
}
