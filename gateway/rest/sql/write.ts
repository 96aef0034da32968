import { quoteIdent } from '../../../tiers/quote.ts'
import type { Node } from '../ast.ts'
import type { Format } from '../parse/accept.ts'
import { bodySql, csvHeader } from './body.ts'
import { existsSql } from './embed.ts'
import { whereClause } from './filter.ts'
import { newAlias } from './params.ts'
import type { Scope } from './scope.ts'
import { columnListSql, pageSql, selectSql } from './select.ts'
import type { Statement } from './statement.ts'

export interface WriteOptions {
  readonly format: Format
  /** What the answer shows of the rows written: all of it, the key of a single row, or nothing. */
  readonly returns: 'representation' | 'key' | 'nothing'
}

/** What a mutation returns to the rest of the statement: everything only where something will be shown of it. */
export function returningSql(alias: string, { returns }: WriteOptions): string {
  return returns === 'nothing' ? ' returning 1' : ` returning ${alias}.*`
}

/**
 * Writes the statement around mutations: their rows are gathered as if they were the table, and the answer is read
 * from them, embedded resources and all.
 *
 * @param mutations INSERT, UPDATE or DELETE, each with its RETURNING; more than one for rows with different keys
 * @param scope of the table, for the answer; its alias is not used by the mutations
 */
export function writeSql(scope: Scope, node: Node, mutations: readonly string[], options: WriteOptions): Statement {
  const names = mutations.map((_, index) => `w${index}`)
  const ctes = mutations.map((mutation, index) => `w${index} as (${mutation})`).join(', ')
  const written = names.map((name) => `select * from ${name}`).join(' union all ')
  const total = `(select pg_catalog.count(*) from (${written}) n)::text as total`
  const answer = answerSql(scope, node, written, total, options)
  return { query: { text: `with ${ctes} ${answer.sql}`, params: scope.params.values }, csvHeader: answer.csvHeader }
}

function answerSql(
  scope: Scope,
  node: Node,
  written: string,
  total: string,
  { format, returns }: WriteOptions,
): { sql: string; csvHeader: string | null } {
  const nothing = `select null as body, 0 as page, ${total}`
  if (returns === 'nothing') return { sql: nothing, csvHeader: null }
  if (returns === 'key') return { sql: `${nothing}, ${keySql(scope, written)} as location`, csvHeader: null }
  const select = selectSql(scope, node)
  // The request's own filters chose what to write; here only inner embeds still leave rows out.
  const inner = node.select.flatMap((item) =>
    item.kind === 'embed' && item.embed.inner ? existsSql(scope, item.embed) : [],
  )
  const rows = `select ${columnListSql(select.columns)} from (${written}) ${scope.alias}${select.joins}${whereClause(inner)}${select.groupBy}${pageSql(scope, node)}`
  const sql = `select ${bodySql(format, select.columns)} as body, pg_catalog.count(*)::int as page, ${total} from (${rows}) s`
  return { sql, csvHeader: csvHeader(format, select.columns) }
}

/** The primary key's values of the row written, for the Location header. */
function keySql(scope: Scope, written: string): string {
  const key = scope.table.primaryKey?.columns ?? []
  if (key.length === 0) return 'null'
  const alias = newAlias(scope.params)
  const values = key.map((column) => `${alias}.${quoteIdent(column)}::text`).join(', ')
  return `(select pg_catalog.json_build_array(${values})::text from (${written}) ${alias} limit 1)`
}
