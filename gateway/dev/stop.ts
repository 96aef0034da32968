const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface Stop {
  /** Resolves at the first signal. */
  readonly asked: Promise<void>
  /** True after the second one: whoever stops things should not wait for politeness. */
  hurry(): boolean
  end(): void
}

/** Turns Ctrl-C, once or more often, into one orderly stop. The handlers stay until the end, so no signal cuts it short. */
export function onStop(): Stop {
  let count = 0
  let resolveAsked = () => {}
  const asked = new Promise<void>((resolve) => {
    resolveAsked = resolve
  })
  const handler = () => {
    count++
    resolveAsked()
  }
  for (const signal of SIGNALS) process.on(signal, handler)
  return {
    asked,
    hurry: () => count > 1,
    end() {
      for (const signal of SIGNALS) process.off(signal, handler)
    },
  }
}
