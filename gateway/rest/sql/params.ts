import { parseError } from '../errors.ts'

/** The parameters of a statement that is being written. */
export interface Params {
  readonly values: unknown[]
  /** How many aliases were handed out: each table reference of the statement gets its own. */
  aliases: number
  /** Conditions, parameters and table references so far. */
  parts: number
}

/**
 * A condition on an embedded resource is written wherever that resource is: where it is shown, where its existence is
 * asked, where it is ordered by. So bounds on the request alone would not bound the statement, and one with more
 * than 65,535 parameters cannot even be sent.
 */
const PARTS_MAX = 8_192

export function newParams(): Params {
  return { values: [], aliases: 0, parts: 0 }
}

/** @throws RestError PGRST100 when the statement has become too large */
export function countPart(params: Params): void {
  if (++params.parts > PARTS_MAX) throw parseError('The request is too complex', 'Ask for less in one request')
}

/**
 * Adds a value and returns its place in the text, cast to `type`. The cast makes the parameter itself of that type, so
 * that an index on the column is used and every driver can send text.
 */
export function bind(params: Params, value: unknown, type: string): string {
  countPart(params)
  params.values.push(value)
  return `$${params.values.length}::${type}`
}

export function newAlias(params: Params): string {
  countPart(params)
  return `t${params.aliases++}`
}

/** An array in PostgreSQL's own text form, which any driver can send as a string. */
export function arrayLiteral(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`
}
