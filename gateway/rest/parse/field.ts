import { BOUNDS, type Field, type JsonStep } from '../ast.ts'
import { type Cursor, eat, fail, isAtEnd, peek, takeQuoted, takeUntil } from './cursor.ts'

/** Characters that end a bare name. Anything else, in any script, belongs to it. */
const RESERVED = '.,:()!"\'*{}[]&=<>'

/** A column's, table's or alias's name: bare, or in double quotes when it holds reserved characters. */
export function parseName(cursor: Cursor): string {
  if (peek(cursor) === '"') {
    const name = takeQuoted(cursor)
    if (name === '') fail(cursor, 'expected a name between the quotes')
    return name
  }
  const start = cursor.at
  while (!isAtEnd(cursor)) {
    const character = peek(cursor)
    // A hyphen belongs to the name unless it begins an arrow.
    if (RESERVED.includes(character) || cursor.text.startsWith('->', cursor.at)) break
    cursor.at++
  }
  const name = cursor.text.slice(start, cursor.at).trim()
  if (name === '') fail(cursor, 'expected a name')
  return name
}

/** A column, perhaps with a JSON path: `data->address->0->>city`. */
export function parseField(cursor: Cursor): Field {
  return { name: parseName(cursor), path: parsePath(cursor) }
}

export function parsePath(cursor: Cursor): readonly JsonStep[] {
  if (peek(cursor) !== '-') return NO_PATH
  const path: JsonStep[] = []
  while (eat(cursor, '->')) {
    if (path.length >= BOUNDS.jsonSteps) fail(cursor, `expected at most ${BOUNDS.jsonSteps} steps in a JSON path`)
    if (path.at(-1)?.asText) fail(cursor, 'expected nothing after "->>": it is text, not JSON')
    path.push(parseStep(cursor, eat(cursor, '>')))
  }
  return path
}

function parseStep(cursor: Cursor, asText: boolean): JsonStep {
  if (peek(cursor) === '"') return { key: takeQuoted(cursor), isIndex: false, asText }
  const start = cursor.at
  if (peek(cursor) === '-') cursor.at++
  for (;;) {
    takeUntil(cursor, '-.,:()"')
    if (peek(cursor) !== '-' || cursor.text.startsWith('->', cursor.at)) break
    cursor.at++
  }
  const key = cursor.text.slice(start, cursor.at)
  if (key === '') fail(cursor, 'expected a key or a position')
  return { key, isIndex: isInteger(key), asText }
}

/** Digits, perhaps signed, that fit in an int4. */
function isInteger(text: string): boolean {
  const value = Number(text)
  return Number.isInteger(value) && String(value) === text && Math.abs(value) < 2 ** 31
}

const NO_PATH: readonly JsonStep[] = Object.freeze([])
