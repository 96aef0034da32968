import type { Embed, OrderTerm } from '../ast.ts'
import type { Relationship } from '../catalogue/types.ts'
import { RestError } from '../errors.ts'
import { fieldSql } from './field.ts'
import { whereClause, whereSql } from './filter.ts'
import { newAlias } from './params.ts'
import { isToOne, relate } from './relate.ts'
import { joinSql, type Scope, scopeOf, tableSql } from './scope.ts'
import { columnListSql, type Part, pageSql, type SelectSql, selectSql } from './select.ts'

interface Related {
  readonly scope: Scope
  readonly relationship: Relationship
  /** The FROM list that leads to the related table. */
  readonly from: string
  /** What ties it to the parent's row. */
  readonly on: string
}

/** Opens a scope on the embedded table, joined to the parent's row by the whole key. */
function related(parent: Scope, embed: Embed): Related {
  const relationship = relate(parent.catalogue, parent.table, embed)
  const scope = scopeOf(parent, parent.catalogue.tables.get(relationship.to)!)
  const table = `${tableSql(relationship.to)} ${scope.alias}`
  if (relationship.cardinality !== 'many-to-many') {
    return { scope, relationship, from: table, on: joinSql(relationship.pairs, parent.alias, scope.alias) }
  }
  const junction = newAlias(parent.params)
  const far = joinSql(relationship.far, junction, scope.alias)
  const from = `${tableSql(relationship.junction)} ${junction} join ${table} on ${far}`
  return { scope, relationship, from, on: joinSql(relationship.near, parent.alias, junction) }
}

/** Whether the embedded resource has any row that passes its own filters: what `!inner` and null filters ask. */
export function existsSql(parent: Scope, embed: Embed): string {
  const { scope, from, on } = related(parent, embed)
  return `exists (select from ${from}${whereClause([on, ...whereSql(scope, embed.node)])})`
}

/**
 * Writes an embedded resource as a lateral subquery, and the parent's columns that come from it.
 *
 * @throws RestError PGRST119 when a list is to be spread into its parent's object
 */
export function embedSql(parent: Scope, embed: Embed): Part {
  const { scope, relationship, from, on } = related(parent, embed)
  // An empty embed is there for its filters only: nothing of it is shown.
  if (embed.node.select.length === 0) return { columns: [], joins: '' }
  const inner = selectSql(scope, embed.node)
  const where = whereClause([on, ...whereSql(scope, embed.node)])
  const alias = newAlias(parent.params)
  if (isToOne(relationship)) {
    // The key makes it one row at most; a LIMIT would say so too, but keep the planner from making it an ordinary join.
    const rows = `from ${from}${inner.joins}${where}${inner.groupBy}`
    if (embed.spread) return spreadSql(alias, inner, rows)
    const columns = columnListSql(inner.columns)
    const row = `select pg_catalog.row_to_json(r.*) as j from (select ${columns} ${rows}) r`
    return { columns: [{ name: embed.name, sql: `${alias}.j` }], joins: ` left join lateral (${row}) ${alias} on true` }
  }
  if (embed.spread) {
    const message = `A spread operation on '${embed.target}' is not possible`
    const details = `'${parent.table.name}' and '${embed.target}' do not form a many-to-one or one-to-one relationship`
    throw new RestError(400, 'PGRST119', message, details)
  }
  const rows = `select ${columnListSql(inner.columns)} from ${from}${inner.joins}${where}${inner.groupBy}${pageSql(scope, embed.node)}`
  const list = `select coalesce(pg_catalog.json_agg(r.*), '[]'::json) as j from (${rows}) r`
  return { columns: [{ name: embed.name, sql: `${alias}.j` }], joins: ` left join lateral (${list}) ${alias} on true` }
}

/** The columns of a to-one embed become columns of the parent; inside they are numbered, since names may repeat. */
function spreadSql(alias: string, inner: SelectSql, rows: string): Part {
  const numbered = inner.columns.map(({ sql }, index) => `${sql} as c${index}`).join(', ')
  return {
    columns: inner.columns.map(({ name }, index) => ({ name, sql: `${alias}.c${index}` })),
    joins: ` left join lateral (select ${numbered} ${rows}) ${alias} on true`,
  }
}

/** One column of a to-one embed, to sort the parent by. */
export function embeddedOrderSql(parent: Scope, embed: Embed, term: OrderTerm): string {
  const { scope, relationship, from, on } = related(parent, embed)
  if (!isToOne(relationship)) {
    const message = `A related order on '${embed.target}' is not possible`
    const details = `'${parent.table.name}' and '${embed.target}' do not form a many-to-one or one-to-one relationship`
    throw new RestError(400, 'PGRST118', message, details)
  }
  const { sql } = fieldSql(scope, term.field)
  return `(select ${sql} from ${from}${whereClause([on, ...whereSql(scope, embed.node)])} limit 1)`
}
