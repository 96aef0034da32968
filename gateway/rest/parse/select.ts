import { BOUNDS, type Embed, emptyNode, type SelectItem } from '../ast.ts'
import { RestError } from '../errors.ts'
import { type Cursor, cursorOf, eat, expect, fail, isAtEnd, peek } from './cursor.ts'
import { parseName, parsePath } from './field.ts'

interface Counts {
  items: number
  embeds: number
}

/**
 * Reads `select=`: columns with an alias, a JSON path and a cast, `*`, and embedded resources with their own lists.
 *
 * @throws RestError PGRST100, with the place, when the text is not of the dialect or asks for more than the bounds
 */
export function parseSelect(text: string): readonly SelectItem[] {
  const cursor = cursorOf(text)
  const items = parseItems(cursor, { items: 0, embeds: 0 })
  if (!isAtEnd(cursor)) fail(cursor, 'expected a comma or the end')
  return items
}

function parseItems(cursor: Cursor, counts: Counts): readonly SelectItem[] {
  const items: SelectItem[] = []
  if (isAtEnd(cursor) || peek(cursor) === ')') return items
  do {
    if (++counts.items > BOUNDS.selectItems) fail(cursor, `expected at most ${BOUNDS.selectItems} items`)
    items.push(parseItem(cursor, counts))
  } while (eat(cursor, ','))
  return items
}

function parseItem(cursor: Cursor, counts: Counts): SelectItem {
  skipSpace(cursor)
  if (eat(cursor, '*')) return { kind: 'all' }
  if (eat(cursor, '...')) return parseEmbed(cursor, parseName(cursor), null, true, counts)
  let name = parseName(cursor)
  let alias: string | null = null
  if (peek(cursor) === ':' && !cursor.text.startsWith('::', cursor.at)) {
    cursor.at++
    alias = name
    name = parseName(cursor)
  }
  if (name === 'count' && eat(cursor, '()')) return { kind: 'count', alias: alias ?? 'count' }
  if (peek(cursor) === '(' || peek(cursor) === '!') return parseEmbed(cursor, name, alias, false, counts)
  const path = parsePath(cursor)
  if (peek(cursor) === '.') refuseAggregate(cursor)
  const cast = eat(cursor, '::') ? parseCast(cursor) : null
  skipSpace(cursor)
  return { kind: 'field', field: { name, path }, alias, cast }
}

/** Of the aggregates only a count of rows is served: the others read as much as they like for a single number. */
function refuseAggregate(cursor: Cursor): void {
  for (const name of ['sum', 'avg', 'min', 'max', 'count']) {
    if (cursor.text.startsWith(`.${name}()`, cursor.at)) {
      throw new RestError(400, 'PGRST123', 'Use of aggregate functions is not allowed')
    }
  }
}

/** A type's name may hold spaces and brackets (`timestamp with time zone`, `int[]`): it is only looked up in a list. */
function parseCast(cursor: Cursor): string {
  const name = parseName(cursor)
  return eat(cursor, '[]') ? `${name}[]` : name
}

function parseEmbed(
  cursor: Cursor,
  target: string,
  alias: string | null,
  spread: boolean,
  counts: Counts,
): { kind: 'embed'; embed: Embed } {
  if (++counts.embeds > BOUNDS.embeds) fail(cursor, `expected at most ${BOUNDS.embeds} embedded resources`)
  if (++cursor.depth > BOUNDS.depth) fail(cursor, `expected at most ${BOUNDS.depth} levels of embedding`)
  let hint: string | null = null
  let inner = false
  while (eat(cursor, '!')) {
    const word = parseName(cursor)
    if (word === 'inner') inner = true
    else if (word !== 'left') hint = word
  }
  expect(cursor, '(')
  const select = parseItems(cursor, counts)
  expect(cursor, ')')
  skipSpace(cursor)
  cursor.depth--
  return { kind: 'embed', embed: { target, name: alias ?? target, hint, inner, spread, node: emptyNode(select) } }
}

function skipSpace(cursor: Cursor): void {
  while (peek(cursor) === ' ' || peek(cursor) === '\n' || peek(cursor) === '\t') cursor.at++
}
