import type { Socket } from 'node:net'
import pg from 'pg'
import type { PostgresHost } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import { ALONE, type AnswerAccount } from './answer-budget.ts'
import { Batch, type BatchOutcome, isDatabaseError, type Step, type TransactionState, type Wire } from './batch.ts'
import { NOT_NOW } from './breaker.ts'
import { dial } from './dial.ts'
import { cancelRequest } from './frontend.ts'
import { isWrongSession } from './hosts.ts'
import type { Reachable } from './primary.ts'
import { type LinkTls, sslFor } from './server.ts'
import { StatementCache } from './statement-cache.ts'

export interface ConnectionOptions extends LinkTls {
  readonly server: Reachable
  readonly database: string
  readonly connectTimeoutMs: number
  readonly statementsMax: number
}

const CLOSE_TIMEOUT_MS = 2_000
const CANCEL_TIMEOUT_MS = 2_000
const CANCEL_AGAIN_MS = 300
/** How long one of several hosts may take to let us in. */
const ONE_OF_SEVERAL_MS = 2_000

interface ClientInternals {
  readonly connection: Wire & {
    readonly stream: Socket
    on(event: 'readyForQuery', listener: (message: { status: TransactionState }) => void): void
    on(event: 'parameterStatus', listener: (message: { parameterName: string; parameterValue: string }) => void): void
    on(event: 'notice', listener: (message: { routine?: string }) => void): void
  }
  readonly processID: number
  readonly secretKey: number
}

/** With the usual 200 statements at a time: about 25 MB of tables, and below 64 MB where each statement joins five. */
const STATEMENTS_PARSED_FACTOR = 4

interface Pending {
  readonly batch: Batch
  readonly resolve: (outcome: BatchOutcome & { state: TransactionState }) => void
  readonly reject: (error: Error) => void
}

/**
 * One connection to one database. It runs one batch at a time and knows when it must not be used again: `doomed` is set
 * by anything unexpected, and a doomed connection is closed instead of going back to its pool.
 */
export class Connection {
  readonly #client: pg.Client
  readonly #options: ConnectionOptions
  readonly #statements: StatementCache
  #pending: Pending | null = null
  #lost: Error | null = null
  /** The step of the last batch that the server's own end of the connection met. */
  #endedAt = Number.POSITIVE_INFINITY
  /** Received since the batch was sent. */
  #bytes = 0
  /** What that counts against. */
  #account: AnswerAccount = ALONE
  doomed = false
  /** Its server turned out to be a replica: the others that go there are no better. */
  isOnReplica = false
  /** The server or the network ended it, unasked: the others that go there may be about to end as well. */
  isCutOff = false
  readonly host: PostgresHost
  readonly #reported: Record<string, string>
  /** Called once when the server or the network ends the connection while nobody uses it. */
  onLost: (() => void) | null = null
  /** By the monotonic clock, in milliseconds. */
  readonly openedAt = performance.now()
  lastUsedAt = 0

  private constructor(client: pg.Client, options: ConnectionOptions, reported: Record<string, string>) {
    this.#client = client
    this.#options = options
    this.#reported = reported
    this.host = options.server.host
    this.#statements = new StatementCache(options.statementsMax)
    const { connection } = client as unknown as ClientInternals
    connection.on('readyForQuery', ({ status }) => this.#ready(status))
    connection.on('notice', ({ routine }) => {
      // Committed here and not at the standby, since somebody cancelled the wait: a failover would lose it.
      if (routine === 'SyncRepWaitForLSN') this.#fail(notReplicated())
    })
    this.#guard(connection.stream)
    client.on('error', (error) => this.#fail(error))
    client.on('end', () => this.#fail(new Error('the server closed the connection')))
  }

  /** @throws InnkeeperError `cluster_unavailable` when no connection can be made. */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const { server, connectTimeoutMs } = options
    const client = new pg.Client({
      connectionString: server.url(options.database),
      connectionTimeoutMillis: server.isOneOfSeveral ? Math.min(connectTimeoutMs, ONE_OF_SEVERAL_MS) : connectTimeoutMs,
      keepAlive: true,
      ssl: sslFor(options),
    })
    const reported: Record<string, string> = {}
    const { connection } = client as unknown as ClientInternals
    connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      reported[parameterName] = parameterValue
    })
    const swallowed: Error[] = []
    const early = (error: Error) => swallowed.push(error)
    client.on('error', early)
    try {
      await client.connect()
    } catch (cause) {
      client.end().catch(early)
      throw new InnkeeperError('cluster_unavailable', 'The database server does not accept a connection', {
        cause,
        retryAfterMs: 1_000,
      })
    }
    client.off('error', early)
    const opened = new Connection(client, options, reported)
    if (!isWrongSession(reported, server.target)) return opened
    await opened.close()
    throw new InnkeeperError('cluster_unavailable', 'The database server takes no writes', { retryAfterMs: 1_000 })
  }

  /**
   * A backend never forgets a table that it has seen: some 30 KB for each with its indexes and a statement. Where tenants have
   * schemas of their own that is without end, so after many different statements a new connection is cheaper.
   */
  get worn(): boolean {
    return this.#statements.parsed >= this.#options.statementsMax * STATEMENTS_PARSED_FACTOR
  }

  get preparedStatements(): number {
    return this.#statements.size
  }

  /**
   * Sends the steps in one write and waits for the server to be ready.
   *
   * @param signal on abort the server is asked to cancel; the connection is doomed from then on
   * @param account what the answer counts against, beside the bound that each has; one that it refuses ends the connection
   * @returns the results, the first error among them, and the transaction's state
   * @throws Error when the connection is lost before the server was ready: the outcome is unknown
   */
  run(
    steps: readonly Step[],
    signal?: AbortSignal,
    account: AnswerAccount = ALONE,
  ): Promise<BatchOutcome & { state: TransactionState }> {
    if (this.#lost !== null) return Promise.reject(this.#lost)
    if (this.#pending !== null) return Promise.reject(new Error('a connection runs one batch at a time'))
    this.#bytes = 0
    this.#account = account
    const batch = new Batch(steps, this.#statements)
    const ran = new Promise<BatchOutcome & { state: TransactionState }>((resolve, reject) => {
      this.#pending = { batch, resolve, reject }
      this.#client.query(batch as unknown as pg.Submittable)
    })
    return signal === undefined ? ran : this.#cancellable(ran, signal)
  }

  async #cancellable<T>(ran: Promise<T>, signal: AbortSignal): Promise<T> {
    const onAbort = () => this.cancel()
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await ran
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Asks the server to cancel what runs now. A late cancel could hit the next statement, so the connection ends after. */
  cancel(): void {
    this.doomed = true
    const cancelled = this.#pending
    const { stream } = (this.#client as unknown as ClientInternals).connection
    const isUnderWay = () => cancelled !== null && this.#pending === cancelled
    this.#askToCancel()
    // A server that is between two statements of the batch takes no notice.
    setTimeout(() => {
      if (isUnderWay()) this.#askToCancel()
    }, CANCEL_AGAIN_MS).unref()
    // A server that does not even answer a cancel must not keep its caller, nor the connection's place.
    setTimeout(() => {
      if (isUnderWay()) stream.destroy()
    }, CANCEL_TIMEOUT_MS).unref()
  }

  #askToCancel(): void {
    dial(this.host, this.#options, CANCEL_TIMEOUT_MS).then(
      (canceller) => {
        const { processID, secretKey } = this.#client as unknown as ClientInternals
        canceller.on('error', () => {}).resume()
        canceller.write(cancelRequest(processID, secretKey))
        // The server closes it. Nothing may follow, not even the usual Terminate: on that PgBouncer before 1.21 ends, and
        // with it the connections of all tenants (pgbouncer#904).
        canceller.setTimeout(CANCEL_TIMEOUT_MS, () => canceller.destroy()).unref()
      },
      // No cancel can be sent when the server is out of reach; then the statement ends with its connection.
      () => void this.#client.end(),
    )
  }

  /** Ends it at once, whatever runs on it: its server is no longer the one to ask. */
  abandon(): void {
    this.doomed = true
    this.#fail(new Error('another server has become the primary'))
    ;(this.#client as unknown as ClientInternals).connection.stream.destroy()
  }

  async close(): Promise<void> {
    this.doomed = true
    this.onLost = null
    if (this.#lost !== null) return
    // A server that does not let go in time is left to itself: its answer would be for nobody.
    const { stream } = (this.#client as unknown as ClientInternals).connection
    const timer = setTimeout(() => stream.destroy(), CLOSE_TIMEOUT_MS)
    await this.#client.end().finally(() => clearTimeout(timer))
  }

  /**
   * Bounds what one batch may bring, which is held in memory as a whole, and keeps a failure to read it from ending the
   * process: thrown in a listener of a socket, it would.
   */
  #guard(stream: ClientInternals['connection']['stream']): void {
    const [read] = stream.listeners('data') as ((chunk: Buffer) => void)[]
    stream.off('data', read!)
    stream.on('data', (chunk: Buffer) => {
      const bytes = this.#bytes + chunk.length
      try {
        this.#account.grow(this.#bytes, bytes)
        this.#bytes = bytes
        read!(chunk)
      } catch (error) {
        this.#fail(error as Error)
        stream.destroy()
      }
    })
  }

  #ready(state: TransactionState): void {
    const pending = this.#pending
    if (pending === null) return
    this.#pending = null
    this.#account = ALONE
    const outcome = pending.batch.outcome()
    if (outcome.error !== null && this.#isRefusedByReplica(outcome.error)) {
      pending.reject(
        new InnkeeperError('cluster_unavailable', 'The database server is a replica', { retryAfterMs: 1_000 }),
      )
      return
    }
    pending.resolve({ ...outcome, state })
  }

  /** A session may make itself read-only; that its server is a replica only the server can say. */
  #isRefusedByReplica(error: Error): boolean {
    if (!isDatabaseError(error) || error.code !== '25006') return false
    if (this.#reported.default_transaction_read_only === 'on') this.doomed = true
    if (this.#reported.in_hot_standby !== 'on') return false
    this.isOnReplica = true
    this.doomed = true
    return true
  }

  /** It is gone, whoever ended it. */
  get isEnded(): boolean {
    return this.#lost !== null
  }

  /**
   * Whether the server was told to end the connection and said so before it came to a step of the last batch: then that was
   * not executed. What a server says it says in order, and a connection that nobody used is ended without a question.
   */
  endedBefore(step: number): boolean {
    return this.#endedAt < step
  }

  #fail(error: Error): void {
    if (this.#lost !== null) return
    this.#lost = error
    const pending = this.#pending
    this.#pending = null
    this.#account.drop(this.#bytes)
    this.#account = ALONE
    // A server that is shut down says so before it closes; that message explains more than the closing does.
    const { error: told = null, failedStep = -1 } = pending?.batch.outcome() ?? {}
    const reason = isDatabaseError(told) ? told : error
    if (isDatabaseError(told) && told.code === ENDED_BY_ORDER) this.#endedAt = failedStep
    this.isCutOff = !this.doomed && isOfServer(reason)
    this.doomed = true
    if (pending === null) {
      this.onLost?.()
      return
    }
    pending.reject(reason)
  }
}

/** `admin_shutdown`: pg_terminate_backend, the removal of a database, a shutdown in order. */
const ENDED_BY_ORDER = '57P01'

/** The network's error, or the server's word that it goes down; a session that it ends for what it did is another matter. */
function isOfServer(error: Error): boolean {
  if (isDatabaseError(error)) return NOT_NOW.has(error.code ?? '')
  return !(error instanceof InnkeeperError)
}

function notReplicated(): InnkeeperError {
  return new InnkeeperError('outcome_unknown', 'The commit was not replicated', {
    details: 'somebody cancelled its wait for the standby',
  })
}
