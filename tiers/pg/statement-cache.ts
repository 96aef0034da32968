import type { FieldDef } from 'pg'
import type { ParserSet } from './values.ts'

type Parser = (text: string) => unknown

/** What a prepared statement answers with: asked for once, since the server refuses to run it when that has changed. */
export interface Columns {
  readonly fields: FieldDef[]
  readonly parserSet: ParserSet | undefined
  readonly parsers: readonly Parser[]
}

/** A statement that one connection has, or is about to have. */
export interface Prepared {
  readonly name: string
  /** False until the server is known to have it: after an error it may or may not. */
  confirmed: boolean
  /** Null until its rows have been described. */
  columns: Columns | null
}

export interface StatementUse {
  readonly prepared: Prepared
  /** True when the server does not have it yet. */
  readonly parse: boolean
  /** Names to close first: pushed out by the cap, or of doubtful state. */
  readonly close: readonly string[]
}

const NONE: readonly string[] = []

/**
 * Which prepared statements one connection has. Capped, because each costs the backend some kilobytes for ever; the
 * least recently used goes first.
 */
export class StatementCache {
  readonly #entries = new Map<string, Prepared>()
  readonly #max: number
  #counter = 0
  #parsed = 0

  constructor(max: number) {
    this.#max = max
  }

  /** @param name for a statement that has the same name on every connection */
  use(text: string, name?: string): StatementUse {
    const found = this.#entries.get(text)
    if (found?.confirmed) {
      // Moves it to the young end of the map's order.
      this.#entries.delete(text)
      this.#entries.set(text, found)
      return { prepared: found, parse: false, close: NONE }
    }
    const close: string[] = []
    if (found !== undefined) {
      close.push(found.name)
      this.#entries.delete(text)
    }
    if (this.#entries.size >= this.#max) {
      const [oldText, old] = this.#entries.entries().next().value!
      close.push(old.name)
      this.#entries.delete(oldText)
    }
    this.#parsed++
    const prepared = { name: name ?? `s${++this.#counter}`, confirmed: false, columns: null }
    this.#entries.set(text, prepared)
    return { prepared, parse: true, close }
  }

  /** The server will not run it any more; the next use closes it and parses it anew. */
  doubt(text: string): void {
    const found = this.#entries.get(text)
    if (found !== undefined) found.confirmed = false
  }

  get size(): number {
    return this.#entries.size
  }

  /** How many statements the server was given in all, those that were closed since included. */
  get parsed(): number {
    return this.#parsed
  }
}

export function describedAs(fields: FieldDef[], parserSet: ParserSet | undefined): Columns {
  const parsers = parserSet === undefined ? [] : fields.map((f) => parserSet(f.dataTypeID, 'text'))
  return { fields, parserSet, parsers }
}
