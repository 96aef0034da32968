import { AsyncLocalStorage } from 'node:async_hooks'
import { InnkeeperError, isInnkeeperError } from '../errors.ts'
import type { AnswerHold } from '../pg/answer-budget.ts'
import type { Step, TransactionState } from '../pg/batch.ts'
import type { Lease } from '../pg/cluster-pool.ts'
import type { TiersObserver } from '../telemetry.ts'
import type { QueryResult, TenantId, TransactionOptions } from '../types.ts'
import { assertStatement } from './command.ts'
import { type EntranceDeps, enterRoom, lost, type PlacedTenant } from './entrance.ts'
import { finish, type Outcome, statementError } from './result.ts'
import { afterSavepoint, type Scope, scopeIn, scopeOf } from './scope.ts'
import { batchOf, type Statement, type StepMaker } from './steps.ts'

/** Runs statements in one tenant's room, each in a transaction of its own or several in one. */
export interface RoomSession {
  /**
   * One statement, one transaction, one network round trip.
   * @throws DatabaseError the server's own error of the statement; InnkeeperError otherwise
   */
  execute(statement: Statement, options?: TransactionOptions): Promise<QueryResult>
  /** Several statements in one transaction: committed when the callback resolves, rolled back when it throws. */
  transaction<T>(work: (tx: RoomTransaction) => Promise<T>, options?: TransactionOptions): Promise<T>
}

export interface RoomTransaction {
  execute(statement: Statement): Promise<QueryResult>
  /** A savepoint: what the callback did is undone when it throws, and the transaction goes on. */
  savepoint<T>(work: (tx: RoomTransaction) => Promise<T>): Promise<T>
}

export interface RoomSessionDeps extends EntranceDeps {
  readonly steps: StepMaker
  readonly observer: TiersObserver
  transactionTimeoutMs(tier: string): number
}

const ROLLBACK_TIMEOUT_MS = 2_000

/**
 * @param claims the user's, as JSON, or an empty string
 * @param holdOf what the answer of the next statement counts against
 */
export function roomSession(
  deps: RoomSessionDeps,
  id: TenantId,
  claims: string,
  holdOf: () => AnswerHold,
): RoomSession {
  return {
    async execute(statement, options = {}) {
      assertStatement(statement.text)
      // An isolation level needs an explicit BEGIN; the implicit transaction of one Sync is always read committed.
      if (options.isolationLevel !== undefined && options.isolationLevel !== 'read committed') {
        return this.transaction((tx) => tx.execute(statement), options)
      }
      return holdOf().during(async (hold) => {
        const { readOnly = false } = options
        const enter = () =>
          enterRoom(deps, id, options.signal, (t) =>
            batchOf(deps.steps.opening(t, false, options, claims), deps.steps.statement(t, statement), hold, readOnly),
          )
        // A read that was lost with its connection changed nothing, so it may be asked once more.
        const { lease, tenant, outcome } = await (readOnly
          ? enter().catch((error: unknown) => {
              if (isInnkeeperError(error, 'outcome_unknown')) return enter()
              throw error
            })
          : enter())
        try {
          if (outcome.state !== 'I') lease.connection.doomed = true
          return finish(outcome, lease, deps.observer, tenant, options.signal)
        } finally {
          lease.release()
        }
      })
    },
    transaction: (work, options = {}) => runTransaction(new OpenTransaction(deps, id, claims, holdOf, options), work),
  }
}

async function runTransaction<T>(tx: OpenTransaction, work: (tx: RoomTransaction) => Promise<T>): Promise<T> {
  try {
    // A callback that hangs in something else must not keep the connection for longer than the tier allows.
    const value = await Promise.race([work(tx.handle()), tx.overdue])
    await tx.commit()
    return value
  } catch (error) {
    await tx.rollback()
    throw error
  } finally {
    tx.end()
  }
}

/**
 * One interactive transaction. Its beginning travels with the first statement, so it costs no round trip of its own; a
 * callback that sends nothing opens nothing. Statements of one transaction run one after the other.
 */
class OpenTransaction {
  readonly #deps: RoomSessionDeps
  readonly #id: TenantId
  readonly #claims: string
  readonly #holdOf: () => AnswerHold
  readonly #options: TransactionOptions
  readonly #signal: AbortSignal
  readonly #overtime = new AbortController()
  /** Rejects when the transaction has been open for too long; never resolves. */
  readonly overdue: Promise<never>
  #timer: NodeJS.Timeout | null = null
  #entered: { lease: Lease; tenant: PlacedTenant } | null = null
  #state: TransactionState = 'I'
  #turn: Promise<unknown> = Promise.resolve()
  #savepoints = 0
  readonly #scope = scopeIn(undefined)
  /** The innermost savepoint that the running code is in. */
  readonly #running = new AsyncLocalStorage<Scope>()
  #ended = false

  constructor(
    deps: RoomSessionDeps,
    id: TenantId,
    claims: string,
    holdOf: () => AnswerHold,
    options: TransactionOptions,
  ) {
    this.#deps = deps
    this.#id = id
    this.#claims = claims
    this.#holdOf = holdOf
    this.#options = options
    this.#signal = options.signal ? AbortSignal.any([options.signal, this.#overtime.signal]) : this.#overtime.signal
    const { promise, reject } = Promise.withResolvers<never>()
    this.overdue = promise
    promise.catch(noop)
    this.#overtime.signal.addEventListener('abort', () => reject(this.#overtime.signal.reason), { once: true })
  }

  /** @param own where it was handed out */
  handle(own = this.#scope): RoomTransaction {
    const here = () => scopeOf(own, this.#running.getStore())
    return {
      execute: (statement) =>
        afterSavepoint(here(), () =>
          this.#queued(() => this.#holdOf().during((hold) => this.#execute(statement, hold))),
        ),
      savepoint: (work) => {
        const around = here()
        const inside = scopeIn(around)
        const mine = afterSavepoint(around, () => this.#running.run(inside, () => this.#savepoint(work, inside)))
        around.savepoint = mine.then(noop, noop)
        return mine
      },
    }
  }

  #queued<T>(run: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(run)
    // The next one waits for this one's end, whatever it is; the error itself goes to whoever sent the statement.
    this.#turn = mine.then(noop, noop)
    return mine
  }

  async #execute(statement: Statement, hold: AnswerHold): Promise<QueryResult> {
    if (this.#ended) throw ended()
    assertStatement(statement.text)
    const entered = this.#entered
    if (entered === null) return this.#open(statement, hold)
    const { lease, tenant } = entered
    const outcome = await this.#send([this.#deps.steps.statement(tenant, statement)], hold)
    return this.#result(outcome, lease, tenant)
  }

  async #open(statement: Statement, hold: AnswerHold): Promise<QueryResult> {
    const { steps } = this.#deps
    const { lease, tenant, outcome } = await enterRoom(this.#deps, this.#id, this.#signal, (t) =>
      // Nothing of it is committed yet.
      batchOf(steps.opening(t, true, this.#options, this.#claims), steps.statement(t, statement), hold, true),
    )
    this.#entered = { lease, tenant }
    this.#state = outcome.state
    const overtime = () =>
      this.#overtime.abort(new InnkeeperError('statement_timeout', 'The transaction was open too long'))
    this.#timer = setTimeout(overtime, this.#deps.transactionTimeoutMs(tenant.tier))
    return this.#result(outcome, lease, tenant)
  }

  #result(outcome: Outcome, lease: Lease, tenant: PlacedTenant): QueryResult {
    this.#state = outcome.state
    // A statement of the application's that ended the transaction, or began one, leaves nothing to rely on.
    if (outcome.state === 'I') lease.connection.doomed = true
    return finish(outcome, lease, this.#deps.observer, tenant, this.#signal)
  }

  async #send(steps: readonly Step[], hold?: AnswerHold): Promise<Outcome> {
    if (this.#entered === null) throw ended()
    const { lease } = this.#entered
    try {
      return await lease.connection.run(steps, this.#signal, hold)
    } catch (cause) {
      lease.connection.doomed = true
      throw lost(cause, this.#signal, true)
    }
  }

  async #own(text: string, tag: string): Promise<void> {
    const outcome = await this.#send([{ text, params: [], prepared: false, rows: 'none' }])
    this.#state = outcome.state
    if (outcome.error !== null) throw statementError(outcome.error, this.#signal)
    if (outcome.results[0]!.command !== tag) {
      throw new InnkeeperError('conflict', 'The transaction had failed and was rolled back', {
        details: `the server answered ${outcome.results[0]!.command} to ${tag}`,
        hint: 'A statement in it failed and the error was caught; use a savepoint around what may fail.',
      })
    }
  }

  async #savepoint<T>(work: (tx: RoomTransaction) => Promise<T>, inside: Scope): Promise<T> {
    const name = `ink_${++this.#savepoints}`
    const own = (text: string, tag: string) => this.#queued(() => this.#own(text, tag))
    // The transaction has to be open for a savepoint to be in it.
    if (this.#entered === null) await this.handle(inside).execute({ text: 'select', params: [] })
    await own(`savepoint ${name}`, 'SAVEPOINT')
    try {
      const value = await work(this.handle(inside))
      await own(`release savepoint ${name}`, 'RELEASE')
      return value
    } catch (error) {
      if (!this.#entered?.lease.connection.doomed) await own(`rollback to savepoint ${name}`, 'ROLLBACK')
      throw error
    }
  }

  async commit(): Promise<void> {
    await this.#turn
    if (this.#entered === null) return
    if (this.#signal.aborted) throw this.#signal.reason
    const { connection } = this.#entered.lease
    // What a statement of its own has ended may have been committed by it.
    if (connection.isEnded && this.#state !== 'I') {
      throw new InnkeeperError('cluster_unavailable', 'The connection was lost before the transaction was committed', {
        hint: 'Nothing of it was changed.',
        retryAfterMs: 1_000,
      })
    }
    if (connection.doomed) throw new InnkeeperError('conflict', 'The transaction was ended by one of its statements')
    await this.#own('commit', 'COMMIT')
  }

  /** Undoes what is open. Where that cannot be said to the server, the connection ends, which undoes it too. */
  async rollback(): Promise<void> {
    await this.#turn
    const entered = this.#entered
    if (entered === null || this.#state === 'I' || entered.lease.connection.doomed) return
    try {
      // A server that does not answer must keep neither the caller nor the connection's place.
      const outcome = await entered.lease.connection.run(
        [{ text: 'rollback', params: [], prepared: false, rows: 'none' }],
        AbortSignal.timeout(ROLLBACK_TIMEOUT_MS),
      )
      if (outcome.error !== null || outcome.state !== 'I') entered.lease.connection.doomed = true
      this.#state = outcome.state
    } catch {
      entered.lease.connection.doomed = true
    }
  }

  end(): void {
    this.#ended = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    const entered = this.#entered
    if (entered === null) return
    if (this.#state !== 'I') entered.lease.connection.doomed = true
    this.#entered = null
    entered.lease.release()
  }
}

function ended(): InnkeeperError {
  return new InnkeeperError('no_tenant', 'The transaction has ended', { hint: 'Await every statement.' })
}

const noop = () => {}
