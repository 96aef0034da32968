import { badBody, RestError } from '../errors.ts'
import { csvToJson, FIELDS_MAX } from './csv.ts'

/** Rows that have the same keys: what one INSERT of the statement writes. */
export interface RowGroup {
  readonly columns: readonly string[]
  /** The JSON text of an array of objects. */
  readonly json: string
  readonly rows: number
}

export interface Payload {
  readonly groups: readonly RowGroup[]
  readonly rows: number
  /** The client sent one object, not an array. */
  readonly single: boolean
}

/** With `missing=default` rows are grouped by their keys; each group lengthens the statement. */
const GROUPS_MAX = 50

interface BodyOptions {
  readonly contentType: string | undefined
  /** `columns=`, null when absent. */
  readonly columns: readonly string[] | null
  /** `missing=default`: an absent key takes the column's default, instead of null. */
  readonly defaults: boolean
}

/**
 * Checks a payload and says which columns it writes. The text itself goes to the database as it came, so that no
 * number loses digits on the way; rows that have to be grouped go as they stand in it.
 *
 * @throws RestError PGRST102 when it is not JSON (or CSV) of objects with equal keys, PGRST107 for another media type
 */
export function parseBody(text: string, { contentType, columns, defaults }: BodyOptions): Payload {
  const type = (contentType ?? 'application/json').split(';', 1)[0]!.trim().toLowerCase()
  if (type === 'text/csv') {
    const { json, columns: header, rows } = csvToJson(text)
    return { groups: [{ columns: columns ?? header, json, rows }], rows, single: false }
  }
  if (type === 'application/x-www-form-urlencoded') {
    // The platform's own reader takes minutes for a form of some millions of fields.
    if (text.split('&', FIELDS_MAX + 1).length > FIELDS_MAX) throw badBody(`A form has at most ${FIELDS_MAX} fields`)
    const row = Object.fromEntries(new URLSearchParams(text))
    return {
      groups: [{ columns: columns ?? Object.keys(row), json: JSON.stringify([row]), rows: 1 }],
      rows: 1,
      single: true,
    }
  }
  if (type !== 'application/json' && type !== 'application/octet-stream' && !type.endsWith('+json')) {
    throw new RestError(415, 'PGRST107', `Content-Type not acceptable: ${type.slice(0, 80)}`)
  }
  return parseJson(text, columns, defaults)
}

function parseJson(text: string, columns: readonly string[] | null, defaults: boolean): Payload {
  const value = parseText(text)
  const single = !Array.isArray(value)
  const rows: object[] = single ? [value as object] : (value as object[])
  for (const row of rows) {
    if (row === null || typeof row !== 'object' || Array.isArray(row)) {
      throw badBody('The body must be a JSON object or an array of JSON objects')
    }
  }
  const json = single ? `[${text}]` : text
  if (rows.length === 0) return { groups: [], rows: 0, single }
  const first = Object.keys(rows[0]!)
  const uniform = single || haveKeys(rows, first)
  if (columns !== null && (!defaults || (uniform && columns.every((column) => Object.hasOwn(rows[0]!, column))))) {
    return { groups: [{ columns, json, rows: rows.length }], rows: rows.length, single }
  }
  if (columns === null) {
    if (!uniform) throw badBody('All object keys must match', null)
    return { groups: [{ columns: first, json, rows: rows.length }], rows: rows.length, single }
  }
  return { groups: groupByKeys(json, rows, columns), rows: rows.length, single }
}

function parseText(text: string): unknown {
  if (text.trim() === '') throw badBody('Empty or invalid json', 'The body is empty')
  try {
    return JSON.parse(text)
  } catch (error) {
    throw badBody('Empty or invalid json', (error as Error).message)
  }
}

function haveKeys(rows: readonly object[], keys: readonly string[]): boolean {
  const known = new Set(keys)
  return rows.every((row) => {
    let count = 0
    for (const key in row) {
      if (keys[count] !== key && !known.has(key)) return false
      count++
    }
    return count === keys.length
  })
}

/** Rows that lack different keys take different defaults, so each set of keys becomes an INSERT of its own. */
function groupByKeys(json: string, rows: readonly object[], columns: readonly string[]): readonly RowGroup[] {
  const texts = objectTexts(json)
  const wanted = new Set(columns)
  const keysOf = (row: object) => Object.keys(row).filter((key) => wanted.has(key))
  const groups = Map.groupBy(rows.keys(), (at) => keysOf(rows[at]!).sort().join('\0'))
  if (groups.size > GROUPS_MAX)
    throw badBody(`With missing=default at most ${GROUPS_MAX} different sets of keys fit in one request`)
  return [...groups.values()].map((members) => ({
    columns: columns.filter((column) => Object.hasOwn(rows[members[0]!]!, column)),
    json: `[${members.map((at) => texts[at]).join(',')}]`,
    rows: members.length,
  }))
}

/**
 * The text of each object of a JSON array that is known to be one. Written out again, a number would lose digits; read
 * with a reviver, a deep value would exhaust the stack.
 */
function objectTexts(json: string): readonly string[] {
  const texts: string[] = []
  let depth = 0
  let start = 0
  for (let at = 0; at < json.length; at++) {
    const character = json[at]
    if (character === '"') at = stringEnd(json, at)
    else if (character === '{' || character === '[') {
      if (++depth === 2) start = at
    } else if (character === '}' || character === ']') {
      if (depth-- === 2) texts.push(json.slice(start, at + 1))
    }
  }
  return texts
}

function stringEnd(json: string, start: number): number {
  let at = start + 1
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1
  return at
}
