import type { Node } from '../ast.ts'
import type { Format } from '../parse/accept.ts'
import type { Preferences } from '../parse/prefer.ts'
import { bodySql, csvHeader } from './body.ts'
import { whereClause, whereSql } from './filter.ts'
import { bind } from './params.ts'
import { type Scope, tableSql } from './scope.ts'
import { columnListSql, countsRows, pageSql, selectSql } from './select.ts'
import type { Statement } from './statement.ts'

/**
 * Above this many rows `count=planned` and `count=estimated` stop counting. The planner's own estimate is no
 * alternative: where tenants share a table it tells one of them about the others.
 */
export const COUNT_CAP = 10_000

export interface ReadOptions {
  readonly format: Format
  readonly count: Preferences['count']
  /** False for HEAD: rows are counted, not written out. */
  readonly withBody: boolean
}

/** Writes the one statement of a GET or HEAD. */
export function readSql(scope: Scope, node: Node, { format, count, withBody }: ReadOptions): Statement {
  const select = selectSql(scope, node)
  const from = `from ${tableSql(scope.table.name)} ${scope.alias}`
  const where = whereClause(whereSql(scope, node))
  const counts = countsRows(select)
  const columns = withBody || counts ? columnListSql(select.columns) : ''
  const rows = `select ${columns} ${from}${withBody ? select.joins : ''}${where}${select.groupBy}${pageSql(scope, node)}`
  const body = withBody ? bodySql(format, select.columns) : 'null'
  const matching = counts ? `from (select ${columns} ${from}${where}${select.groupBy}) g` : `${from}${where}`
  const total = totalSql(scope, node, matching, count)
  const query = {
    text: `select ${body} as body, pg_catalog.count(*)::int as page, ${total} as total from (${rows}) s`,
    params: scope.params.values,
  }
  return { query, csvHeader: csvHeader(format, select.columns) }
}

/**
 * The number of rows without the page's limits. When the page shows the end of the rows its own size tells, and the
 * second scan, which stands in a branch, is not run.
 */
function totalSql(scope: Scope, node: Node, matching: string, count: Preferences['count']): string {
  if (count === null) return 'null'
  const limit = bind(scope.params, Math.min(node.limit ?? scope.maxRows, scope.maxRows), 'bigint')
  const offset = bind(scope.params, node.offset, 'bigint')
  const scan =
    count === 'exact'
      ? `(select pg_catalog.count(*) ${matching})`
      : `(select pg_catalog.count(*) from (select ${matching} limit ${bind(scope.params, COUNT_CAP, 'bigint')}) m)`
  const isEnd = `pg_catalog.count(*) < ${limit} and (pg_catalog.count(*) > 0 or ${offset} = 0)`
  return `(case when ${isEnd} then ${offset} + pg_catalog.count(*) else ${scan} end)::text`
}
