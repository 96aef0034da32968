import { randomUUID } from 'node:crypto'
import { type RunDeps, runMove } from './run-move.ts'
import { isBeforeFlip, type MoveState } from './states.ts'
import { type Lease, Overtaken } from './store.ts'
import type { Move, MoveRequest } from './types.ts'

export interface MoveRunner {
  /** Looks for work at once instead of at the next turn. */
  wake(): void
  /** Moves that this process works on. */
  active(): readonly string[]
  /** Leaves every move where it is, for another runner, and waits until nothing of them runs here. */
  close(): Promise<void>
}

export interface RunnerOptions extends RunDeps {
  /** Moves at a time in this process, up to the flip: those that are watched cost it little. */
  readonly atOnce: number
  /** Moves at a time on each cluster, of all processes together. */
  readonly placesMax: Readonly<Record<string, number>>
  /** Works on moves that lead there only; null for all. */
  readonly regions: readonly string[] | null
  /** How often open moves without a runner are looked for, in milliseconds. */
  readonly pollMs: number
  /** The control database has not answered in time: what waits for it is to be given up. */
  onControlSilent(): void
  onError(error: Error, move: Move | null): void
}

interface Running {
  readonly state: () => MoveState
  readonly done: Promise<void>
  beat(): Promise<void>
}

/** Claims moves that nobody works on, one lease each, and keeps the leases alive while it works. */
export function startRunner(options: RunnerOptions): MoveRunner {
  const { store, settings, atOnce, placesMax, regions, pollMs, onError } = options
  const owner = randomUUID()
  const running = new Map<string, Running>()
  const closing = new AbortController()
  let looking: Promise<void> | null = null
  let lookAgain = false

  /** An answer that does not come keeps nobody waiting, and what else waits for one is told. */
  const answered = <T>(asking: Promise<T>): Promise<T> => {
    const late = setTimeout(options.onControlSilent, settings.leaseMs * 0.8)
    return asking.finally(() => clearTimeout(late))
  }
  const start = (move: Move) => {
    const lease: Lease = { id: move.id, owner, generation: move.generation }
    const stop = new AbortController()
    const signal = AbortSignal.any([stop.signal, closing.signal])
    let asked: MoveRequest | null = move.request
    let held = performance.now()
    let { state } = move
    const beat = async () => {
      const sent = performance.now()
      try {
        asked = await answered(store.extend(lease, settings.leaseMs))
        held = Math.max(held, sent)
      } catch (error) {
        // Without an answer the lease is lost when its time is over, whatever the control database thinks.
        if (error instanceof Overtaken || performance.now() - held > settings.leaseMs * 0.8) stop.abort(new Overtaken())
      }
    }
    const timer = setInterval(beat, settings.leaseMs / 4)
    const pulse = {
      asked: () => asked,
      answered() {
        asked = null
      },
      signal,
    }
    const onChange = (changed: Move) => {
      // Its place may be free now.
      if (isBeforeFlip(state) && !isBeforeFlip(changed.state)) wake()
      state = changed.state
      options.onChange(changed)
    }
    const done = runMove({ ...options, onChange }, move, lease, pulse)
      .catch((error: Error) => {
        if (!(error instanceof Overtaken) && !signal.aborted) onError(error, move)
      })
      .finally(async () => {
        clearInterval(timer)
        running.delete(move.id)
        await store.release(lease).catch(() => {})
      })
    running.set(move.id, { done, beat, state: () => state })
  }

  const look = async () => {
    if (regions?.length === 0) return
    do {
      lookAgain = false
      while (!closing.signal.aborted) {
        const under = [...running.values()].filter((r) => isBeforeFlip(r.state())).length
        const except = [...running.keys()]
        // One that was claimed without our hearing of it is nobody's until its lease is over.
        const move = await answered(
          store.claim({
            owner,
            leaseMs: settings.leaseMs,
            except,
            placesMax,
            mayBegin: under < atOnce,
            regions,
          }),
        )
        if (move === null) break
        start(move)
      }
    } while (lookAgain && !closing.signal.aborted)
  }
  const wake = () => {
    if (closing.signal.aborted) return
    if (looking !== null) {
      lookAgain = true
      return
    }
    looking = look()
      .catch((error: Error) => onError(error, null))
      .finally(() => {
        looking = null
      })
  }
  const timer = setInterval(wake, pollMs)
  wake()

  return {
    wake() {
      // What an operator asks for is in the answer to a heartbeat.
      for (const { beat } of running.values()) void beat()
      wake()
    },
    active: () => [...running.keys()],
    async close() {
      clearInterval(timer)
      closing.abort(new Error('the runner closes'))
      await looking
      await Promise.all([...running.values()].map((r) => r.done))
    },
  }
}
