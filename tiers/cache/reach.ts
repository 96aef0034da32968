import { within } from './within.ts'

/** How many may wait for a database that is out of reach. */
const WAITING_MAX = 8

export interface ReachOptions {
  /** How long one question may take. */
  readonly timeoutMs: number
  /** Since when the database is known not to answer; 0 while it does. */
  downForMs(): number
}

/**
 * Asks a database that may be out of reach. What nobody waits for any more still stands in the driver's queue until there
 * is a connection; so while there is none only a few are let through, and the others fail at once.
 *
 * @returns rejects when there is no answer in time, or the question was not asked
 */
export function createReach({ timeoutMs, downForMs }: ReachOptions): <T>(ask: () => Promise<T>) => Promise<T> {
  let waiting = 0
  return (ask) => {
    if (waiting >= WAITING_MAX && downForMs() > timeoutMs)
      return Promise.reject(new Error('the database is out of reach'))
    waiting++
    const asked = ask().finally(() => {
      waiting--
    })
    return within(asked, timeoutMs)
  }
}
