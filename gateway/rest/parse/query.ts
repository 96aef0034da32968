import { BOUNDS, type Condition, emptyNode, type Field, findEmbed, type Node } from '../ast.ts'
import { badRange, notEmbedded, parseError } from '../errors.ts'
import { cursorOf, eat, fail, isAtEnd } from './cursor.ts'
import { parseName, parsePath } from './field.ts'
import { parseTest } from './filter.ts'
import { parseLogic } from './logic.ts'
import { parseOrder } from './order.ts'
import { parseSelect } from './select.ts'

export interface RestQuery {
  readonly root: Node
  /** `columns=`: the payload's keys that are to be used, null for all. */
  readonly columns: readonly string[] | null
  /** `on_conflict=`: the columns of the unique key, null for the primary key. */
  readonly onConflict: readonly string[] | null
}

/** Called for a filter of the root whose value is no filter: a chance to say first that there is no such column. */
export type ColumnCheck = (name: string) => void

/**
 * Reads a whole query string: `select` first, because the other parameters are addressed to its embedded resources.
 *
 * @throws RestError PGRST100 where it is malformed, PGRST108 where it filters what is not embedded, PGRST103 for a
 *   negative limit or offset
 */
export function parseQuery(params: URLSearchParams, checkColumn: ColumnCheck): RestQuery {
  const select = params.get('select')
  const root = emptyNode(select === null ? undefined : parseSelect(select))
  let columns: readonly string[] | null = null
  let onConflict: readonly string[] | null = null
  let conditions = 0
  for (const [key, value] of params) {
    if (key === 'select') continue
    else if (key === 'columns') columns = value === '' ? null : parseNames(value)
    else if (key === 'on_conflict') onConflict = parseNames(value)
    else {
      if (++conditions > BOUNDS.conditions) throw parseError(`more than ${BOUNDS.conditions} parameters`)
      parseParameter(root, key, value, checkColumn)
    }
  }
  return { root, columns, onConflict }
}

/** One parameter: its key is a path through the embedded resources that ends in a column or a reserved word. */
function parseParameter(root: Node, key: string, value: string, checkColumn: ColumnCheck): void {
  const cursor = cursorOf(key)
  const names = [parseName(cursor)]
  while (eat(cursor, '.')) names.push(parseName(cursor))
  const path = parsePath(cursor)
  if (!isAtEnd(cursor)) fail(cursor, `expected the end of the parameter's name`)
  const last = names.pop()!
  const negated = names.at(-1) === 'not' && (last === 'and' || last === 'or')
  if (negated) names.pop()
  const node = nodeAt(root, names)
  // A quoted name is always a column's, and so is one with a path: columns called "order" or "limit" can be reached.
  switch (key.endsWith('"') || path.length > 0 ? '' : last) {
    case 'order':
      node.order = parseOrder(value)
      return
    case 'limit':
      node.limit = value === '' ? null : parseCount(last, value)
      return
    case 'offset':
      node.offset = value === '' ? 0 : parseCount(last, value)
      return
    case 'and':
    case 'or':
      node.where.push(parseLogic(last as 'and' | 'or', negated, value))
      return
  }
  node.where.push(parseFilter({ name: last, path }, value, node === root ? checkColumn : () => {}))
}

function parseFilter(field: Field, value: string, checkColumn: ColumnCheck): Condition {
  try {
    return parseTest(field, value)
  } catch (error) {
    // A parameter that is no column at all is more likely a mistake in its name than in its value.
    checkColumn(field.name)
    throw error
  }
}

function nodeAt(root: Node, names: readonly string[]): Node {
  let node = root
  for (const name of names) {
    const embed = findEmbed(node, name)
    if (embed === null) throw notEmbedded(names.join('.'))
    node = embed.node
  }
  return node
}

function parseCount(name: string, value: string): number {
  const count = Number(value)
  if (!/^-?\d{1,15}$/.test(value)) throw parseError(`"${name}" is not a whole number`)
  if (count < 0) throw badRange(`${name === 'limit' ? 'Limit' : 'Offset'} should be greater than or equal to zero.`)
  return count
}

/** A comma-separated list of column names, quoted or bare. */
function parseNames(text: string): readonly string[] {
  const cursor = cursorOf(text)
  const names = new Set<string>()
  if (isAtEnd(cursor)) return []
  do names.add(parseName(cursor))
  while (eat(cursor, ','))
  if (!isAtEnd(cursor)) fail(cursor, 'expected a comma or the end')
  return [...names]
}
