import type { FieldDef } from 'pg'
import { DatabaseError } from 'pg'
import { FrontendWriter } from './frontend.ts'
import { type Columns, describedAs, type Prepared, type StatementCache } from './statement-cache.ts'
import { type ParserSet, wireValues } from './values.ts'

/** One statement of a batch. */
export interface Step {
  readonly text: string
  readonly params: readonly unknown[]
  /** False for what is run once on a connection: it is parsed without a name. */
  readonly prepared: boolean
  /** For our own steps: the statement's name, the same on every connection. Their messages are then written once. */
  readonly name?: string
  /** How rows are built; `none` for our own steps, whose rows nobody reads. */
  readonly rows: 'none' | 'array' | 'object'
  readonly parsers?: ParserSet
}

export interface StepResult {
  readonly command: string
  readonly rowCount: number
  readonly rows: unknown[]
  readonly fields: FieldDef[]
}

/** The transaction state that the server reports when it is ready again: idle, in a transaction, in a failed one. */
export type TransactionState = 'I' | 'T' | 'E'

/** What the `pg` client's connection offers to a Submittable; its own types leave it out. */
export interface Wire {
  stream: { writable: boolean; write(messages: Buffer): void }
  sendCopyFail(message: string): void
}

export interface BatchOutcome {
  readonly results: StepResult[]
  /** Set when a step failed; those after it were skipped by the server. */
  readonly error: Error | null
  /** The index of the step that failed. */
  readonly failedStep: number
  /**
   * The error says that a prepared statement no longer fits its tables (a migration ran). The connection parses it anew the
   * next time, so a caller whose transaction was undone as a whole may try again.
   */
  readonly stalePlan: boolean
}

interface MutableResult {
  command: string
  rowCount: number
  rows: unknown[]
  fields: FieldDef[]
}

/**
 * Several statements in one network write with one Sync: an implicit transaction, or the first part of an explicit one.
 * It is a `Submittable`, the extension point of the `pg` client that cursors and streams use. Always the extended
 * protocol: in a simple-protocol message, statements share a timestamp, and a saved context could be replayed.
 */
export class Batch {
  readonly #steps: readonly Step[]
  readonly #statements: StatementCache
  readonly #results: MutableResult[] = []
  /** Null for a statement without a name. */
  readonly #prepared: (Prepared | null)[] = []
  #current = 0
  #error: Error | null = null
  #failedStep = -1
  #columns: Columns = NO_COLUMNS

  constructor(steps: readonly Step[], statements: StatementCache) {
    this.#steps = steps
    this.#statements = statements
  }

  /** Called by the client when it is this batch's turn. */
  submit(wire: Wire): void {
    writer.restart()
    for (const step of this.#steps) this.#write(step)
    writer.sync()
    const messages = writer.take()
    // A stream that has ended says so by an event of its own.
    if (wire.stream.writable) wire.stream.write(messages)
    this.#begin()
  }

  #write(step: Step): void {
    if (!step.prepared) {
      this.#prepared.push(null)
      writer.parse('', step.text)
      writer.run('', wireValues(step.params), step.rows !== 'none')
      return
    }
    const { prepared, parse, close } = this.#statements.use(step.text, step.name)
    this.#prepared.push(prepared)
    for (const old of close) writer.close(old)
    if (parse) writer.parse(prepared.name, step.text)
    if (step.name === undefined) {
      writer.run(prepared.name, wireValues(step.params), step.rows !== 'none' && prepared.columns === null)
    } else writer.copy(messagesOf(step, step.name))
  }

  #begin(): void {
    const step = this.#steps[this.#current]!
    const result: MutableResult = { command: '', rowCount: 0, rows: NO_ROWS, fields: NO_COLUMNS.fields }
    this.#results.push(result)
    if (step.rows === 'none') return
    result.rows = []
    const known = this.#prepared[this.#current]?.columns
    if (known) this.#use(known, step, result)
  }

  #use(columns: Columns, step: Step, result: MutableResult): void {
    const fits = columns.parserSet === step.parsers
    this.#columns = fits ? columns : describedAs(columns.fields, step.parsers)
    result.fields = columns.fields
  }

  handleRowDescription(message: { fields: FieldDef[] }): void {
    const step = this.#steps[this.#current]!
    const prepared = this.#prepared[this.#current]
    const columns = describedAs(message.fields, step.parsers)
    if (prepared) prepared.columns = columns
    this.#use(columns, step, this.#results[this.#current]!)
  }

  handleDataRow(message: { fields: (string | null)[] }): void {
    const mode = this.#steps[this.#current]!.rows
    if (mode === 'none') return
    const { rows } = this.#results[this.#current]!
    const values = message.fields
    const { parsers, fields } = this.#columns
    if (mode === 'array') {
      const row = new Array<unknown>(values.length)
      for (let i = 0; i < values.length; i++) row[i] = values[i] === null ? null : parsers[i]!(values[i]!)
      rows.push(row)
      return
    }
    const row: Record<string, unknown> = {}
    for (let i = 0; i < values.length; i++) row[fields[i]!.name] = values[i] === null ? null : parsers[i]!(values[i]!)
    rows.push(row)
  }

  handleCommandComplete(message: { text: string }): void {
    const result = this.#results[this.#current]!
    const { text } = message
    const space = text.indexOf(' ')
    const last = text.lastIndexOf(' ')
    const affected = last === -1 ? Number.NaN : Number(text.slice(last + 1))
    // A tag of several words without a count, such as CREATE TABLE, is kept whole.
    result.command = space === -1 || Number.isNaN(affected) ? text : text.slice(0, space)
    result.rowCount = Number.isNaN(affected) ? 0 : affected
    this.#finishStep()
  }

  handleEmptyQuery(): void {
    this.#finishStep()
  }

  handlePortalSuspended(): void {
    this.#finishStep()
  }

  #finishStep(): void {
    const prepared = this.#prepared[this.#current]
    if (prepared) prepared.confirmed = true
    this.#current++
    if (this.#current < this.#steps.length) this.#begin()
  }

  handleError(error: Error): void {
    if (this.#error === null) {
      this.#error = error
      this.#failedStep = this.#current
    }
  }

  /** The client calls this only after success; after an error the connection sees the same message itself. */
  handleReadyForQuery(): void {}

  /** COPY has no place in a tenant's statement: the connection ends the batch with the server's own error. */
  handleCopyInResponse(wire: Wire): void {
    wire.sendCopyFail('COPY is not available here')
  }

  handleCopyData(): void {}

  outcome(): BatchOutcome {
    const stalePlan = this.#error !== null && isStalePlan(this.#error)
    if (stalePlan) this.#statements.doubt(this.#steps[this.#failedStep]?.text ?? '')
    return { results: this.#results, error: this.#error, failedStep: this.#failedStep, stalePlan }
  }
}

/** One for all batches: a batch is written in one go. */
const writer = new FrontendWriter()
const NO_COLUMNS: Columns = { fields: [], parserSet: undefined, parsers: [] }
const NO_ROWS: unknown[] = []

const written = new WeakMap<Step, Buffer>()

/** Our own steps are sent many times as they are, the entrance for as long as its ticket is used. */
function messagesOf(step: Step, name: string): Buffer {
  const known = written.get(step)
  if (known !== undefined) return known
  const own = new FrontendWriter(512)
  own.run(name, wireValues(step.params), false)
  const messages = own.take()
  written.set(step, messages)
  return messages
}

/** "cached plan must not change result type": known by its code and place, since the text is translated. */
function isStalePlan(error: Error): boolean {
  return isDatabaseError(error) && error.code === '0A000' && error.routine === 'RevalidateCachedQuery'
}

export function isDatabaseError(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError
}
