import { isQuotable, quoteIdent } from '../../../tiers/quote.ts'
import { findEmbed, type Node, type OrderTerm, type SelectItem } from '../ast.ts'
import { notEmbedded, parseError } from '../errors.ts'
import { embeddedOrderSql, embedSql } from './embed.ts'
import { castSql, fieldName, fieldSql } from './field.ts'
import { bind } from './params.ts'
import type { Scope } from './scope.ts'

export interface OutputColumn {
  readonly name: string
  readonly sql: string
}

export interface SelectSql {
  readonly columns: readonly OutputColumn[]
  /** The lateral subqueries that the columns come from, each with a space before it. */
  readonly joins: string
  /** GROUP BY, when rows are counted; otherwise empty. */
  readonly groupBy: string
}

/** Writes what one level of the request shows: its columns, and its embedded resources as further columns. */
export function selectSql(scope: Scope, node: Node): SelectSql {
  const columns: OutputColumn[] = []
  let joins = ''
  for (const item of node.select) {
    const part = itemSql(scope, item)
    columns.push(...part.columns)
    joins += part.joins
  }
  return { columns, joins, groupBy: groupBySql(scope, node, columns) }
}

/** Counted rows are grouped by everything else that is shown. */
function groupBySql(scope: Scope, node: Node, columns: readonly OutputColumn[]): string {
  if (!node.select.some((item) => isCount(scope, item))) return ''
  if (node.select.some((item) => item.kind === 'embed')) {
    throw parseError('count() does not stand beside an embedded resource')
  }
  const keys = columns.map(({ sql }) => sql).filter((sql) => sql !== COUNT_SQL)
  return keys.length === 0 ? '' : ` group by ${keys.join(', ')}`
}

/** Rows are counted, so the answer's rows are not the table's. */
export function countsRows({ columns }: SelectSql): boolean {
  return columns.some(({ sql }) => sql === COUNT_SQL)
}

const COUNT_SQL = 'pg_catalog.count(*)'

/** `count()`, and plain `count` where no column is called that. */
function isCount(scope: Scope, item: SelectItem): boolean {
  if (item.kind === 'count') return true
  return item.kind === 'field' && item.field.name === 'count' && !scope.table.columns.has('count')
}

export type Part = Pick<SelectSql, 'columns' | 'joins'>

function itemSql(scope: Scope, item: SelectItem): Part {
  switch (item.kind) {
    case 'all':
      return { columns: [...scope.table.columns.keys()].map((name) => columnSql(scope, name)), joins: '' }
    case 'embed':
      return embedSql(scope, item.embed)
    case 'count':
      return { columns: [{ name: item.alias, sql: COUNT_SQL }], joins: '' }
    case 'field': {
      if (isCount(scope, item)) return { columns: [{ name: item.alias ?? 'count', sql: COUNT_SQL }], joins: '' }
      const { sql } = fieldSql(scope, item.field)
      const name = item.alias ?? fieldName(item.field)
      return { columns: [{ name, sql: item.cast === null ? sql : `${sql}::${castSql(item.cast)}` }], joins: '' }
    }
  }
}

function columnSql(scope: Scope, name: string): OutputColumn {
  return { name, sql: `${scope.alias}.${quoteIdent(name)}` }
}

/** Beyond it the database cuts a name off, and two may become one. */
const NAME_BYTES_MAX = 63

/** @throws RestError PGRST100 for an alias that cannot be one: unlike all other names these are the client's own */
export function columnListSql(columns: readonly OutputColumn[]): string {
  return columns
    .map(({ name, sql }) => {
      if (!isQuotable(name) || Buffer.byteLength(name) > NAME_BYTES_MAX)
        throw parseError('An alias or a JSON key cannot be used as a name in the answer')
      return `${sql} as ${quoteIdent(name)}`
    })
    .join(', ')
}

/** ORDER BY, LIMIT and OFFSET of one level; no list is longer than the tier's ceiling, wherever it stands. */
export function pageSql(scope: Scope, node: Node): string {
  const order = node.order.map((term) => orderSql(scope, node, term)).join(', ')
  const limit = bind(scope.params, Math.min(node.limit ?? scope.maxRows, scope.maxRows), 'bigint')
  const offset = node.offset === 0 ? '' : ` offset ${bind(scope.params, node.offset, 'bigint')}`
  return `${order === '' ? '' : ` order by ${order}`} limit ${limit}${offset}`
}

function orderSql(scope: Scope, node: Node, term: OrderTerm): string {
  const direction = term.direction === null ? '' : ` ${term.direction}`
  const nulls = term.nulls === null ? '' : ` nulls ${term.nulls}`
  return `${orderedSql(scope, node, term)}${direction}${nulls}`
}

function orderedSql(scope: Scope, node: Node, term: OrderTerm): string {
  const { embed: name } = term
  if (name === null) return fieldSql(scope, term.field).sql
  const embed = findEmbed(node, name)
  if (embed === null) throw notEmbedded(name)
  return embeddedOrderSql(scope, embed, term)
}
