/** The parameters of a statement that is being written. */
export interface Params {
  readonly values: unknown[]
  /** How many aliases were handed out: each table reference of the statement gets its own. */
  aliases: number
}

export function newParams(): Params {
  return { values: [], aliases: 0 }
}

/**
 * Adds a value and returns its place in the text, cast to `type`. The cast makes the parameter itself of that type, so
 * that an index on the column is used and every driver can send text.
 */
export function bind(params: Params, value: unknown, type: string): string {
  params.values.push(value)
  return `$${params.values.length}::${type}`
}

export function newAlias(params: Params): string {
  return `t${params.aliases++}`
}

/** An array in PostgreSQL's own text form, which any driver can send as a string. */
export function arrayLiteral(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`
}
