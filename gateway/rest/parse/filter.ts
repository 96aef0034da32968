import { type Field, IS_KEYWORDS, OPERATORS, type Operator, type Quantifier, type Test } from '../ast.ts'
import { type Cursor, cursorOf, eat, expect, fail, isAtEnd, peek, takeQuoted, takeUntil } from './cursor.ts'

/** Where the value of a filter ends: at the end of the parameter, or at the next comma or parenthesis of a tree. */
export type Place = 'parameter' | 'tree'

/** Reads `not.eq.value` as it stands in a parameter of its own: there the value is everything after the operator. */
export function parseTest(field: Field, text: string): Test {
  return parseOperation(cursorOf(text), field, 'parameter')
}

/** Reads an operator and its value at the cursor. */
export function parseOperation(cursor: Cursor, field: Field, place: Place): Test {
  const negated = eat(cursor, 'not.')
  const operator = parseOperator(cursor)
  const { quantifier, language } = parseModifier(cursor, operator)
  expect(cursor, '.')
  const value = operator === 'in' ? parseList(cursor, place) : parseValue(cursor, place)
  if (operator === 'is') checkKeyword(cursor, value as string)
  return { kind: 'test', field, negated, operator, quantifier, language, value: normalised(operator, value) }
}

function parseOperator(cursor: Cursor): Operator {
  const start = cursor.at
  const word = takeUntil(cursor, '.(,)')
  if (Object.hasOwn(OPERATORS, word)) return word as Operator
  cursor.at = start
  return fail(cursor, 'expected an operator (eq, neq, gt, gte, lt, lte, like, ilike, in, is, cs, cd, …)')
}

/** `eq(any)` and `fts(english)`: what stands in parentheses after the operator. */
function parseModifier(cursor: Cursor, operator: Operator): { quantifier: Quantifier | null; language: string | null } {
  const none = { quantifier: null, language: null }
  if (!eat(cursor, '(')) return none
  const word = takeUntil(cursor, ')')
  expect(cursor, ')')
  const spec = OPERATORS[operator]
  if (spec.value === 'search') {
    // A number, or "-", would be taken for an OID, and one that does not exist for the server's own trouble.
    if (/^(?:-|\d+)$/.test(word)) fail(cursor, 'expected the name of a text search configuration')
    return { ...none, language: word }
  }
  if (spec.quantified && (word === 'any' || word === 'all')) return { ...none, quantifier: word }
  return fail(cursor, `expected no "(${word})" after ${operator}`)
}

function parseValue(cursor: Cursor, place: Place): string {
  if (place === 'parameter') {
    const value = cursor.text.slice(cursor.at)
    cursor.at = cursor.text.length
    return value
  }
  if (peek(cursor) === '"') {
    const start = cursor.at
    const value = takeQuoted(cursor)
    if (isAtEnd(cursor) || ',)'.includes(peek(cursor))) return value
    // A quote that does not close the value was a character like any other.
    cursor.at = start
  }
  if (peek(cursor) === '{') return takeBraces(cursor)
  return takeUntil(cursor, ',)')
}

/** An array literal within a tree: its own commas and quotes are the database's to read. */
function takeBraces(cursor: Cursor): string {
  const start = cursor.at
  let open = 0
  do {
    const character = peek(cursor)
    if (character === '') fail(cursor, 'expected a closing brace')
    if (character === '"') {
      takeQuoted(cursor)
      continue
    }
    if (character === '{') open++
    if (character === '}') open--
    cursor.at++
  } while (open > 0)
  return cursor.text.slice(start, cursor.at)
}

/** `(a,"b,c",d)`; an empty list matches nothing. */
function parseList(cursor: Cursor, place: Place): readonly string[] {
  expect(cursor, '(')
  const values: string[] = []
  if (!eat(cursor, ')')) {
    do values.push(parseListValue(cursor))
    while (eat(cursor, ','))
    expect(cursor, ')')
  }
  if (place === 'parameter' && !isAtEnd(cursor)) fail(cursor, 'expected the end after the list')
  return values
}

function parseListValue(cursor: Cursor): string {
  if (peek(cursor) !== '"') return takeUntil(cursor, ',)')
  const start = cursor.at
  const value = takeQuoted(cursor)
  if (',)'.includes(peek(cursor))) return value
  cursor.at = start
  return takeUntil(cursor, ',)')
}

function checkKeyword(cursor: Cursor, value: string): void {
  if (!Object.hasOwn(IS_KEYWORDS, value.toLowerCase())) {
    fail(cursor, `expected is.${Object.keys(IS_KEYWORDS).join(', is.')}`)
  }
}

function normalised(operator: Operator, value: string | readonly string[]): string | readonly string[] {
  if (typeof value !== 'string') return value
  if (operator === 'is') return value.toLowerCase()
  // `*` stands for `%`, which would have to be escaped in a URL.
  return OPERATORS[operator].value === 'pattern' ? value.replaceAll('*', '%') : value
}
