import { InnkeeperError } from '../errors.ts'
import { type BatchOutcome, isDatabaseError, type StepResult, type TransactionState } from '../pg/batch.ts'
import type { Lease } from '../pg/cluster-pool.ts'
import { type TiersObserver, tenantAttributes } from '../telemetry.ts'
import type { QueryResult } from '../types.ts'
import { assertCommand } from './command.ts'
import { givenUp, type PlacedTenant } from './entrance.ts'

export type Outcome = BatchOutcome & { state: TransactionState }

/** The application's result, or its error; a command that does not belong here ends the connection. */
export function finish(
  outcome: Outcome,
  lease: Lease,
  observer: TiersObserver,
  tenant: PlacedTenant,
  signal: AbortSignal | undefined,
): QueryResult {
  if (outcome.error !== null) throw statementError(outcome.error, signal)
  const result: StepResult = outcome.results[outcome.results.length - 1]!
  try {
    assertCommand(result.command)
  } catch (error) {
    lease.connection.doomed = true
    throw error
  }
  observer.count('db.rows', result.rowCount, tenantAttributes(tenant))
  return result as QueryResult
}

export function statementError(error: Error, signal: AbortSignal | undefined): Error {
  if (isDatabaseError(error) && error.code === '57014') {
    return signal?.aborted
      ? givenUp(signal, error)
      : new InnkeeperError('statement_timeout', 'The statement took longer than the tier allows', { cause: error })
  }
  return error
}
