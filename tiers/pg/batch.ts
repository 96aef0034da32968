import type { FieldDef } from 'pg'
import { DatabaseError } from 'pg'
import type { StatementCache } from './statement-cache.ts'
import type { ParserSet } from './values.ts'
import { prepareValue } from './values.ts'

/** One statement of a batch. */
export interface Step {
  readonly text: string
  readonly params: readonly unknown[]
  /** False for what is run once on a connection: it is parsed without a name. */
  readonly prepared: boolean
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
  stream: { cork(): void; uncork(): void }
  parse(message: { name: string; text: string; types: number[] }): void
  bind(message: {
    portal: string
    statement: string
    values: readonly unknown[]
    valueMapper: (value: unknown) => unknown
  }): void
  describe(message: { type: 'P' | 'S'; name: string }): void
  execute(message: { portal: string; rows: number }): void
  close(message: { type: 'P' | 'S'; name: string }): void
  sync(): void
  sendCopyFail(message: string): void
}

export interface BatchOutcome {
  readonly results: StepResult[]
  /** Set when a step failed; those after it were skipped by the server. */
  readonly error: Error | null
  /** The index of the step that failed. */
  readonly failedStep: number
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
  readonly #names: (string | null)[] = []
  #current = 0
  #error: Error | null = null
  #failedStep = -1
  #parsers: ((text: string) => unknown)[] = []

  constructor(steps: readonly Step[], statements: StatementCache) {
    this.#steps = steps
    this.#statements = statements
  }

  /** Called by the client when it is this batch's turn. */
  submit(wire: Wire): void {
    wire.stream.cork()
    try {
      for (const step of this.#steps) this.#send(wire, step)
      wire.sync()
    } finally {
      wire.stream.uncork()
    }
    this.#begin()
  }

  #send(wire: Wire, step: Step): void {
    const { name, parse, close } = step.prepared ? this.#statements.use(step.text) : UNNAMED
    this.#names.push(step.prepared ? name : null)
    for (const old of close) wire.close({ type: 'S', name: old })
    if (parse) wire.parse({ name, text: step.text, types: [] })
    wire.bind({ portal: '', statement: name, values: step.params, valueMapper: prepareValue })
    if (step.rows !== 'none') wire.describe({ type: 'P', name: '' })
    wire.execute({ portal: '', rows: 0 })
  }

  #begin(): void {
    this.#results.push({ command: '', rowCount: 0, rows: [], fields: [] })
  }

  handleRowDescription(message: { fields: FieldDef[] }): void {
    const step = this.#steps[this.#current]!
    this.#results[this.#current]!.fields = message.fields
    const parsers = step.parsers
    this.#parsers =
      parsers === undefined ? [] : message.fields.map((f) => parsers(f.dataTypeID, f.format as 'text') as never)
  }

  handleDataRow(message: { fields: (string | null)[] }): void {
    const mode = this.#steps[this.#current]!.rows
    if (mode === 'none') return
    const result = this.#results[this.#current]!
    const values = message.fields
    const parsers = this.#parsers
    if (mode === 'array') {
      const row = new Array<unknown>(values.length)
      for (let i = 0; i < values.length; i++) row[i] = values[i] === null ? null : parsers[i]!(values[i]!)
      result.rows.push(row)
      return
    }
    const row: Record<string, unknown> = {}
    const { fields } = result
    for (let i = 0; i < values.length; i++) row[fields[i]!.name] = values[i] === null ? null : parsers[i]!(values[i]!)
    result.rows.push(row)
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
    const name = this.#names[this.#current]
    if (name) this.#statements.confirm(name)
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
    return { results: this.#results, error: this.#error, failedStep: this.#failedStep }
  }
}

const UNNAMED = { name: '', parse: true, close: [] as readonly string[] }

export function isDatabaseError(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError
}
