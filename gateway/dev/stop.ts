const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** One Ctrl-C arrives twice under npm: from the terminal, and passed on by npm. */
const SAME_MS = 300

export interface Stop {
  /** Resolves at the first signal. */
  readonly asked: Promise<void>
  /** True after the second one: whoever stops things should not wait for politeness. */
  hurry(): boolean
  /** Runs the step, or throws when a stop was asked for: a long start ends at its next step. */
  throwIfAsked(step: () => void): void
  isStop(error: unknown): boolean
  end(): void
}

class Stopped extends Error {}

/** Turns Ctrl-C, once or more often, into one orderly stop. The handlers stay until the end, so no signal cuts it short. */
export function onStop(): Stop {
  let count = 0
  let resolveAsked = () => {}
  const asked = new Promise<void>((resolve) => {
    resolveAsked = resolve
  })
  let lastMs = Number.NEGATIVE_INFINITY
  const handler = () => {
    const now = performance.now()
    if (now - lastMs > SAME_MS) count++
    lastMs = now
    resolveAsked()
  }
  for (const signal of SIGNALS) process.on(signal, handler)
  return {
    asked,
    hurry: () => count > 1,
    throwIfAsked(step) {
      if (count > 0) throw new Stopped('stopped')
      step()
    },
    isStop: (error) => error instanceof Stopped,
    end() {
      for (const signal of SIGNALS) process.off(signal, handler)
    },
  }
}
