import type { Embed, OrderTerm } from '../ast.ts'
import type { Relationship } from '../catalogue/types.ts'
import { RestError } from '../errors.ts'
import { fieldSql } from './field.ts'
import { whereClause, whereSql } from './filter.ts'
import { newAlias } from './params.ts'
import { isToOne, relate } from './relate.ts'
import { joinSql, type Scope, scopeOf, tableSql } from './scope.ts'
import { columnListSql, type OutputColumn, type Part, pageSql, type SelectSql, selectSql } from './select.ts'

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

/** Writes an embedded resource as a lateral subquery, and the parent's columns that come from it. */
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
  const rest = `from ${from}${inner.joins}${where}${inner.groupBy}${pageSql(scope, embed.node)}`
  if (embed.spread) return spreadListsSql(alias, inner, rest)
  const rows = `select ${columnListSql(inner.columns)} ${rest}`
  const list = `select coalesce(pg_catalog.json_agg(r.*), '[]'::json) as j from (${rows}) r`
  return { columns: [{ name: embed.name, sql: `${alias}.j` }], joins: ` left join lateral (${list}) ${alias} on true` }
}

/** The columns of a to-one embed become columns of the parent; inside they are numbered, since names may repeat. */
function spreadSql(alias: string, inner: SelectSql, rows: string): Part {
  return {
    columns: numberedNames(alias, inner),
    joins: ` left join lateral (select ${numberedSql(inner)} ${rows}) ${alias} on true`,
  }
}

/** Each column of a to-many embed becomes a list in the parent; the lists are of one order. */
function spreadListsSql(alias: string, inner: SelectSql, rows: string): Part {
  const lists = inner.columns.map((_, at) => `coalesce(pg_catalog.json_agg(r.c${at}), '[]'::json) as c${at}`).join(', ')
  // Without any column it still has to be one row.
  const list = `select ${lists || 'pg_catalog.count(*)'} from (select ${numberedSql(inner)} ${rows}) r`
  return { columns: numberedNames(alias, inner), joins: ` left join lateral (${list}) ${alias} on true` }
}

function numberedSql({ columns }: SelectSql): string {
  return columns.map(({ sql }, at) => `${sql} as c${at}`).join(', ')
}

function numberedNames(alias: string, { columns }: SelectSql): OutputColumn[] {
  return columns.map(({ name }, at) => ({ name, sql: `${alias}.c${at}` }))
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
