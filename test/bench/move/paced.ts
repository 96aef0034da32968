import { createHistogram } from 'node:perf_hooks'

/** What the operations of a paced load took since the last time that one asked, in milliseconds. */
export interface PacedReport {
  readonly count: number
  readonly failed: number
  /** How many failed, by their codes. */
  readonly failures: Readonly<Record<string, number>>
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface PacedLoad {
  /** Of what has been answered since the last report; forgets it. */
  report(): PacedReport
  /** Waits for what is under way. */
  stop(): Promise<void>
}

const TICK_MS = 1
const MICROSECONDS = 1_000

/**
 * Starts operations at a steady rate, whether or not the earlier ones have been answered, and counts the time from when
 * each was due: so that a pause is seen by all who would have come during it, not by one.
 */
export function paced(perSecond: number, operation: (turn: number) => Promise<unknown>): PacedLoad {
  const startedAt = performance.now()
  const open = new Set<Promise<void>>()
  let started = 0
  // A list of all that were answered would have to be sorted for a report, and the load stands still meanwhile: a tenth
  // of a second for a hundred thousand, which a bench of pauses must not bring along.
  const took = createHistogram()
  let failures: Record<string, number> = {}
  const one = async (turn: number, dueAt: number) => {
    try {
      await operation(turn)
      took.record(Math.max(1, Math.round((performance.now() - dueAt) * MICROSECONDS)))
    } catch (error) {
      const code = (error as { code?: string }).code ?? (error as Error).name
      failures[code] = (failures[code] ?? 0) + 1
    }
  }
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1_000)
    for (; started < due; started++) {
      const running = one(started, startedAt + (started * 1_000) / perSecond)
      open.add(running)
      void running.then(() => open.delete(running))
    }
  }, TICK_MS)
  return {
    report() {
      const ms = (microseconds: number) => (took.count === 0 ? 0 : microseconds / MICROSECONDS)
      const report = {
        count: took.count,
        failed: Object.values(failures).reduce((sum, n) => sum + n, 0),
        failures,
        p50Ms: ms(took.percentile(50)),
        p99Ms: ms(took.percentile(99)),
        maxMs: ms(took.max),
      }
      took.reset()
      failures = {}
      return report
    },
    async stop() {
      clearInterval(timer)
      await Promise.all(open)
    },
  }
}

/** @param sorted ascending */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}
