import { quoteIdent } from '../../../tiers/quote.ts'
import { type QueryResult, ROOM_IDENTIFIER, type SqlQuery } from '../../../tiers/types.ts'
import { CATALOGUE_SQL } from './query.ts'
import { relationshipsOf } from './relationships.ts'
import {
  type Catalogue,
  type Column,
  type ColumnType,
  type ForeignKey,
  type Key,
  type Table,
  TENANT_COLUMN,
} from './types.ts'

interface TableRow {
  name: string
  kind: 'table' | 'view'
  comment: string | null
  insert: boolean
  update: boolean
  delete: boolean
}

interface ColumnRow {
  table: string
  name: string
  label: string
  typeSchema: string
  typeName: string
  typeKind: string
  isArray: boolean
  enumValues: string[] | null
  nullable: boolean
  hasDefault: boolean
  generated: boolean
  comment: string | null
}

interface KeyRow {
  table: string
  name: string
  primary: boolean
  columns: string[]
}

/** There is no such schema here: its tenant has moved since its place was read. */
export class SchemaMissing extends Error {
  constructor(schema: string) {
    super(`there is no schema ${schema}`)
  }
}

/**
 * Reads what one schema holds and the current role may see: tables and views, columns, keys, relationships.
 *
 * @param query runs a statement; it is called once
 * @param schema the schema's real name, not the placeholder
 * @throws SchemaMissing, which an empty answer would hide: one schema's catalogue is kept for all that have the same tables
 * @returns a frozen description in which `tenant_id` does not occur, except where SQL has to name it
 */
export async function loadCatalogue(
  query: (query: SqlQuery) => Promise<QueryResult>,
  schema: string,
): Promise<Catalogue> {
  const { rows } = await query({ text: CATALOGUE_SQL, params: [schema] })
  const row = rows[0] as Record<'tables' | 'columns' | 'keys' | 'foreign_keys', string> & { readonly here: boolean }
  if (!row.here) throw new SchemaMissing(schema)
  const columns = Map.groupBy(JSON.parse(row.columns) as ColumnRow[], (column) => column.table)
  const keys = Map.groupBy(JSON.parse(row.keys) as KeyRow[], (key) => key.table)
  const tables = new Map<string, Table>()
  for (const table of JSON.parse(row.tables) as TableRow[]) {
    tables.set(table.name, tableOf(table, columns.get(table.name) ?? [], keys.get(table.name) ?? [], schema))
  }
  const foreignKeys = JSON.parse(row.foreign_keys) as ForeignKey[]
  return Object.freeze({ schema, tables, relationships: relationshipsOf(tables, foreignKeys) })
}

function tableOf(row: TableRow, columnRows: ColumnRow[], keyRows: KeyRow[], schema: string): Table {
  const columns = new Map<string, Column>()
  for (const column of columnRows) {
    if (column.name !== TENANT_COLUMN) columns.set(column.name, columnOf(column, schema))
  }
  const keys = keyRows.map(keyOf)
  const primaryAt = keyRows.findIndex((key) => key.primary)
  // A view could be updatable, but what it would let through depends on its text: views stay read-only.
  const writable = row.kind === 'table'
  return Object.freeze({
    name: row.name,
    kind: row.kind,
    comment: row.comment,
    columns,
    primaryKey: keys[primaryAt] ?? null,
    uniqueKeys: Object.freeze(keys),
    privileges: Object.freeze({
      insert: writable && row.insert,
      update: writable && row.update,
      delete: writable && row.delete,
    }),
  })
}

function columnOf(row: ColumnRow, schema: string): Column {
  return Object.freeze({
    name: row.name,
    type: typeOf(row, schema),
    nullable: row.nullable,
    hasDefault: row.hasDefault,
    generated: row.generated,
    comment: row.comment,
  })
}

function typeOf(row: ColumnRow, schema: string): ColumnType {
  // Where the type lives in the tenant's own schema the name must follow the tenant, so it takes the placeholder.
  const qualifier = row.typeSchema === schema ? ROOM_IDENTIFIER : quoteIdent(row.typeSchema)
  return Object.freeze({
    sql: `${qualifier}.${quoteIdent(row.typeName)}${row.isArray ? '[]' : ''}`,
    label: labelOf(row.label, schema),
    kind: kindOf(row),
    enumValues: Object.freeze(row.enumValues ?? []),
  })
}

/** A type that is not on the search path is labelled with its schema; a room's name is nobody's business. */
function labelOf(label: string, schema: string): string {
  return label.replace(`${quoteIdent(schema)}.`, '').replace(`${schema}.`, '')
}

function kindOf(row: ColumnRow): ColumnType['kind'] {
  if (row.isArray) return 'array'
  if (row.typeSchema === 'pg_catalog') {
    if (row.typeName === 'json' || row.typeName === 'jsonb' || row.typeName === 'tsvector') return row.typeName
  }
  return row.typeKind === 'c' ? 'composite' : 'scalar'
}

function keyOf(row: KeyRow): Key {
  return Object.freeze({
    name: row.name,
    columns: Object.freeze(row.columns.filter((column) => column !== TENANT_COLUMN)),
    allColumns: Object.freeze(row.columns),
  })
}
