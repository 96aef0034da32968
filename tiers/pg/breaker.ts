import { BrokenCircuitError, ConsecutiveBreaker, circuitBreaker, handleWhen } from 'cockatiel'
import { InnkeeperError } from '../errors.ts'
import { isDatabaseError } from './batch.ts'

const FAILURES_MAX = 5
const HALF_OPEN_AFTER_MS = 1_000
/** The server's own words for "not now": it is starting up or shutting down, or all its connections are taken. */
export const NOT_NOW = new Set(['57P01', '57P02', '57P03', '53300'])

/** Opens a connection, or says at once that there is none to be had. */
export type ConnectionBreaker = <T>(open: () => Promise<T>) => Promise<T>

/**
 * Keeps callers from waiting for a cluster that is out of reach. After five failures in a row nobody tries for a second;
 * then one tries for all. A server that answers, if only to say that a database does not exist, is in reach.
 *
 * @returns throws InnkeeperError `cluster_unavailable` at once while it is open
 */
export function createConnectionBreaker(): ConnectionBreaker {
  const policy = circuitBreaker(handleWhen(isOutOfReach), {
    halfOpenAfter: HALF_OPEN_AFTER_MS,
    breaker: new ConsecutiveBreaker(FAILURES_MAX),
  })
  return async (open) => {
    try {
      return await policy.execute(open)
    } catch (error) {
      if (!(error instanceof BrokenCircuitError)) throw error
      throw new InnkeeperError('cluster_unavailable', 'The database server is out of reach', {
        retryAfterMs: HALF_OPEN_AFTER_MS,
      })
    }
  }
}

/** Whether a failure to connect is the server's: not one that it gave a reason for, such as a database that is missing. */
export function isOutOfReach(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : error
  return !isDatabaseError(cause) || NOT_NOW.has(cause.code ?? '')
}
