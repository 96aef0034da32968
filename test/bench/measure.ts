/** Makes one worker's operation; workers run theirs one after the other. */
export type Case = (worker: number) => () => Promise<unknown>

export interface Measured {
  readonly opsPerSecond: number
  readonly p50Ms: number
  /** Of this case's speed to another's, as the median of the rounds' ratios. */
  ratioTo(other: string): number
  /** Of this case's median latency to another's. */
  latencyRatioTo(other: string): number
}

export interface MeasureOptions {
  /** For each case, all rounds together. */
  readonly seconds: number
  readonly workers: number
}

const ROUNDS = 7

/**
 * Measures cases in turns: each has a short time in every round, in an order that rotates, so that what else the machine
 * does hits all of them alike. One round before counts for nothing.
 */
export async function inTurns<Name extends string>(
  cases: Readonly<Record<Name, Case>>,
  { seconds, workers }: MeasureOptions,
): Promise<Record<Name, Measured>> {
  const names = Object.keys(cases) as Name[]
  const speeds = new Map<string, number[]>(names.map((n) => [n, []]))
  const latencies = new Map<string, number[]>(names.map((n) => [n, []]))
  const sliceMs = (seconds * 1000) / ROUNDS
  for (let round = 0; round <= ROUNDS; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length]!
      const { opsPerSecond, p50Ms } = await slice(cases[name], workers, sliceMs)
      if (round === 0) continue
      speeds.get(name)!.push(opsPerSecond)
      latencies.get(name)!.push(p50Ms)
    }
  }
  const ratio = (of: Map<string, number[]>, name: string, other: string) =>
    median(of.get(name)!.map((value, i) => value / of.get(other)![i]!))
  const measured = (name: string): Measured => ({
    opsPerSecond: median(speeds.get(name)!),
    p50Ms: median(latencies.get(name)!),
    ratioTo: (other) => ratio(speeds, name, other),
    latencyRatioTo: (other) => ratio(latencies, name, other),
  })
  return Object.fromEntries(names.map((n) => [n, measured(n)])) as Record<Name, Measured>
}

async function slice(make: Case, workers: number, ms: number): Promise<{ opsPerSecond: number; p50Ms: number }> {
  const took: number[] = []
  const started = performance.now()
  const end = started + ms
  await Promise.all(
    Array.from({ length: workers }, async (_, worker) => {
      const run = make(worker)
      for (let before = performance.now(); before < end; ) {
        await run()
        const after = performance.now()
        took.push(after - before)
        before = after
      }
    }),
  )
  return { opsPerSecond: took.length / ((performance.now() - started) / 1000), p50Ms: median(took) }
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}
