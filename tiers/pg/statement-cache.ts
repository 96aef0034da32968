export interface StatementUse {
  readonly name: string
  /** True when the server does not have it yet. */
  readonly parse: boolean
  /** Names to close first: pushed out by the cap, or of doubtful state. */
  readonly close: readonly string[]
}

interface Entry {
  readonly name: string
  /** False until the server is known to have it: after an error it may or may not. */
  confirmed: boolean
}

const NONE: readonly string[] = []

/**
 * Which prepared statements one connection has. Capped, because each costs the backend some kilobytes for ever; the
 * least recently used goes first.
 */
export class StatementCache {
  readonly #entries = new Map<string, Entry>()
  readonly #byName = new Map<string, Entry>()
  readonly #max: number
  #counter = 0

  constructor(max: number) {
    this.#max = max
  }

  use(text: string): StatementUse {
    const found = this.#entries.get(text)
    if (found?.confirmed) {
      // Moves it to the young end of the map's order.
      this.#entries.delete(text)
      this.#entries.set(text, found)
      return { name: found.name, parse: false, close: NONE }
    }
    const close: string[] = []
    if (found !== undefined) {
      close.push(found.name)
      this.#forget(text, found)
    }
    if (this.#entries.size >= this.#max) {
      const [oldText, old] = this.#entries.entries().next().value!
      close.push(old.name)
      this.#forget(oldText, old)
    }
    const entry = { name: `s${++this.#counter}`, confirmed: false }
    this.#entries.set(text, entry)
    this.#byName.set(entry.name, entry)
    return { name: entry.name, parse: true, close }
  }

  confirm(name: string): void {
    const entry = this.#byName.get(name)
    if (entry !== undefined) entry.confirmed = true
  }

  get size(): number {
    return this.#entries.size
  }

  #forget(text: string, entry: Entry): void {
    this.#entries.delete(text)
    this.#byName.delete(entry.name)
  }
}
