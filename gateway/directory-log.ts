import type { Logger } from 'pino'
import type { Directory } from '../tiers/directory/types.ts'

const LOOK_MS = 500

/** Says in the log when the control database is lost and when it is back: requests alone show nothing of it. */
export function logDirectory(directory: Directory, log: Logger): { close(): void } {
  // It begins unconnected: that it stays so is worth saying, and so it is said at the second look.
  let said: boolean | null = null
  let seen = true
  const timer = setInterval(() => {
    const { connected, entries } = directory.status()
    const isSettled = connected === seen
    seen = connected
    if (!isSettled || connected === said) return
    if (!connected) {
      log.warn({ entries }, 'the control database does not answer: tenants that are known go on as they were')
    } else if (said === false) log.info({ entries }, 'the control database answers again')
    said = connected
  }, LOOK_MS).unref()
  return { close: () => clearInterval(timer) }
}
