import { quoteIdent } from '../../../tiers/quote.ts'
import { type Condition, emptyNode, type Node } from '../ast.ts'
import { type Key, type Table, TENANT_COLUMN } from '../catalogue/types.ts'
import { RestError, unknownPayloadColumn } from '../errors.ts'
import type { Payload, RowGroup } from '../parse/body.ts'
import type { Preferences } from '../parse/prefer.ts'
import { whereClause, whereSql } from './filter.ts'
import { bind, countPart, newAlias } from './params.ts'
import { type Scope, tableSql } from './scope.ts'
import type { Statement } from './statement.ts'
import { returningSql, type WriteOptions, writeSql } from './write.ts'

export interface InsertOptions extends WriteOptions {
  readonly resolution: Preferences['resolution']
  readonly onConflict: readonly string[] | null
  /** Which of the payload's rows are written: those that meet all of them. */
  readonly where: readonly Condition[]
}

/** Writes the one statement of a POST (or PUT): the payload is a single parameter, whatever the number of its rows. */
export function insertSql(scope: Scope, node: Node, payload: Payload, options: InsertOptions): Statement {
  const inserts = payload.groups.map((group) => groupSql(scope, group, options))
  return writeSql(scope, node, inserts, options)
}

function groupSql(scope: Scope, group: RowGroup, options: InsertOptions): string {
  checkColumns(scope.table, group.columns)
  const alias = newAlias(scope.params)
  const target = `insert into ${tableSql(scope.table.name)} as ${alias}`
  const returning = returningSql(alias, options)
  const conflict = conflictSql(scope.table, group.columns, options)
  // Rows without any key are made of defaults alone, which SELECT has no word for; VALUES has.
  if (group.columns.length === 0) {
    for (let row = 0; row < group.rows; row++) countPart(scope.params)
    const rows = Array.from({ length: group.rows }, () => '(default)').join(', ')
    return `${target} (${quoteIdent(TENANT_COLUMN)}) values ${rows}${conflict}${returning}`
  }
  const list = group.columns.map(quoteIdent).join(', ')
  const source = `pg_catalog.json_to_recordset(${bind(scope.params, group.json, 'json')}) as b(${recordSql(scope.table, group.columns)})`
  const where = whereClause(whereSql({ ...scope, alias: 'b' }, { ...emptyNode(), where: [...options.where] }))
  return `${target} (${list}) select ${list} from ${source}${where}${conflict}${returning}`
}

/** The column definition list by which the database reads JSON objects as rows. */
export function recordSql(table: Table, columns: readonly string[]): string {
  return columns.map((column) => `${quoteIdent(column)} ${table.columns.get(column)!.type.sql}`).join(', ')
}

/** @throws RestError PGRST204 when the payload names a column that the table does not have */
export function checkColumns(table: Table, columns: readonly string[]): void {
  for (const column of columns) {
    if (!table.columns.has(column)) throw unknownPayloadColumn(table.name, column, table.columns.keys())
  }
}

function conflictSql(table: Table, columns: readonly string[], { resolution, onConflict }: InsertOptions): string {
  if (resolution === null) return ''
  const key = conflictKey(table, onConflict)
  if (key === null) return ''
  const target = ` on conflict (${key.allColumns.map(quoteIdent).join(', ')})`
  const updates = columns.map((column) => `${quoteIdent(column)} = excluded.${quoteIdent(column)}`).join(', ')
  if (resolution === 'ignore-duplicates' || updates === '') return `${target} do nothing`
  return `${target} do update set ${updates}`
}

/**
 * The unique key that `on_conflict` means, compared without `tenant_id`: the client does not know that it is there.
 *
 * @returns null for a table without a primary key, when nothing was named: then nothing can be in conflict
 */
function conflictKey(table: Table, onConflict: readonly string[] | null): Key | null {
  if (onConflict === null || onConflict.length === 0) return table.primaryKey
  checkColumns(table, onConflict)
  const found = table.uniqueKeys.find(
    ({ columns }) => columns.length === onConflict.length && columns.every((column) => onConflict.includes(column)),
  )
  if (found !== undefined) return found
  const message = 'there is no unique or exclusion constraint matching the ON CONFLICT specification'
  throw new RestError(400, '42P10', message)
}
