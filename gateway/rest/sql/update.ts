import { quoteIdent } from '../../../tiers/quote.ts'
import type { Node } from '../ast.ts'
import type { RowGroup } from '../parse/body.ts'
import { whereClause, whereSql } from './filter.ts'
import { checkColumns, recordSql } from './insert.ts'
import { bind } from './params.ts'
import { type Scope, scopeOf, tableSql } from './scope.ts'
import type { Statement } from './statement.ts'
import { returningSql, type WriteOptions, writeSql } from './write.ts'

/** Writes the one statement of a PATCH: the payload, one object, is a single parameter. */
export function updateSql(scope: Scope, node: Node, payload: RowGroup, options: WriteOptions): Statement {
  checkColumns(scope.table, payload.columns)
  const target = scopeOf(scope, scope.table)
  const sets = payload.columns.map((column) => `${quoteIdent(column)} = b.${quoteIdent(column)}`).join(', ')
  const record = recordSql(scope.table, payload.columns)
  const source = `pg_catalog.json_to_recordset(${bind(scope.params, payload.json, 'json')}) as b(${record})`
  const where = whereClause(whereSql(target, node))
  const update = `update ${tableSql(scope.table.name)} as ${target.alias} set ${sets} from ${source}`
  return writeSql(scope, node, [`${update}${where}${returningSql(target.alias, options)}`], options)
}

/** Writes the one statement of a DELETE. */
export function deleteSql(scope: Scope, node: Node, options: WriteOptions): Statement {
  const target = scopeOf(scope, scope.table)
  const where = whereClause(whereSql(target, node))
  const deletion = `delete from ${tableSql(scope.table.name)} as ${target.alias}`
  return writeSql(scope, node, [`${deletion}${where}${returningSql(target.alias, options)}`], options)
}
