import { BOUNDS, type OrderTerm } from '../ast.ts'
import { type Cursor, cursorOf, eat, expect, fail, isAtEnd, peek, takeUntil } from './cursor.ts'
import { parseName, parsePath } from './field.ts'

/** Reads `order=`: columns, or `rel(column)` of a to-one embed, each with a direction and the place of nulls. */
export function parseOrder(text: string): readonly OrderTerm[] {
  const cursor = cursorOf(text)
  const terms: OrderTerm[] = []
  if (isAtEnd(cursor)) return terms
  do {
    if (terms.length >= BOUNDS.orderTerms) fail(cursor, `expected at most ${BOUNDS.orderTerms} columns`)
    terms.push(parseTerm(cursor))
  } while (eat(cursor, ','))
  if (!isAtEnd(cursor)) fail(cursor, 'expected a comma or the end')
  return terms
}

function parseTerm(cursor: Cursor): OrderTerm {
  let name = parseName(cursor)
  let path = parsePath(cursor)
  let embed: string | null = null
  if (peek(cursor) === '(') {
    embed = name
    cursor.at++
    name = parseName(cursor)
    path = parsePath(cursor)
    expect(cursor, ')')
  }
  let direction: OrderTerm['direction'] = null
  let nulls: OrderTerm['nulls'] = null
  while (eat(cursor, '.')) {
    const start = cursor.at
    const word = takeUntil(cursor, '.,')
    if ((word === 'asc' || word === 'desc') && direction === null && nulls === null) direction = word
    else if (word === 'nullsfirst' && nulls === null) nulls = 'first'
    else if (word === 'nullslast' && nulls === null) nulls = 'last'
    else {
      cursor.at = start
      fail(cursor, 'expected asc, desc, nullsfirst or nullslast')
    }
  }
  return { field: { name, path }, embed, direction, nulls }
}
