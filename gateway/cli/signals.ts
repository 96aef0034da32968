import { EXIT } from './exit-codes.ts'

export interface StopOptions {
  /** How long closing may take before the process ends anyway, in milliseconds; 8,000 where left out. */
  readonly graceMs?: number
  /** Runs when the process has to end before closing is done: the last chance to leave nothing behind. Not waited for. */
  readonly onForce?: () => void
  /** Told what is going on; says nothing where left out. */
  readonly say?: (text: string) => void
  /** Milliseconds, and the end of the process; tests give their own. */
  readonly now?: () => number
  readonly exit?: (code: number) => void
}

const GRACE_MS = 8_000
/**
 * One Ctrl-C can arrive several times: from the terminal, which sends it to the whole group, and from npm, which passes
 * on what it gets. Only one that comes later than this was pressed again.
 */
const SAME_PRESS_MS = 1_000

/**
 * Waits for SIGINT or SIGTERM and closes, once. A second signal, or the end of the time of grace, ends the process at
 * once.
 *
 * @returns when everything is closed: the exit code
 */
export function closeOnSignal(close: () => Promise<void>, options: StopOptions = {}): Promise<number> {
  const { graceMs = GRACE_MS, onForce, say = () => {}, now = Date.now, exit = process.exit } = options
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  let firstAtMs: number | null = null

  const force = (why: string) => {
    say(why)
    onForce?.()
    exit(EXIT.interrupted)
  }
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstAtMs !== null) {
      if (now() - firstAtMs >= SAME_PRESS_MS) force(`${signal} again: stopping at once`)
      return
    }
    firstAtMs = now()
    say(`${signal}: stopping`)
    const timer = setTimeout(() => force(`not everything stopped within ${graceMs} ms`), graceMs)
    timer.unref()
    // The listeners stay, so that a late signal meets no default handler while the process ends.
    close()
      .finally(() => clearTimeout(timer))
      .then(() => resolve(EXIT.ok), reject)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return promise
}
