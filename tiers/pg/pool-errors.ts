import { InnkeeperError } from '../errors.ts'

/** Why a pool gives no connection. */

const RETRY = { retryAfterMs: 1_000 }

export function overloaded(message: string): InnkeeperError {
  return new InnkeeperError('overloaded', message, RETRY)
}

export function notMade(): InnkeeperError {
  return new InnkeeperError('cluster_unavailable', 'The database server has not accepted a connection in time', RETRY)
}

export function shuttingDown(): InnkeeperError {
  return new InnkeeperError('shutting_down', 'The gateway is shutting down', RETRY)
}
