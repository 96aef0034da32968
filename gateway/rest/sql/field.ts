import { quoteIdent } from '../../../tiers/quote.ts'
import type { Field } from '../ast.ts'
import type { Column } from '../catalogue/types.ts'
import { RestError, unknownColumn } from '../errors.ts'
import { bind } from './params.ts'
import type { Scope } from './scope.ts'

export interface FieldSql {
  readonly sql: string
  /** The type that a value compared with it has. */
  readonly type: string
  readonly column: Column
  /** A step into JSON, as opposed to the column itself. */
  readonly isPath: boolean
}

/**
 * Writes a column, or a JSON path into it, of a scope's table.
 *
 * @throws RestError 42703 when the table has no such column (that a client may see)
 */
export function fieldSql(scope: Scope, field: Field): FieldSql {
  const column = scope.table.columns.get(field.name)
  if (column === undefined) throw unknownColumn(scope.table.name, field.name, scope.table.columns.keys())
  let sql = `${scope.alias}.${quoteIdent(column.name)}`
  if (field.path.length === 0) return { sql, type: column.type.sql, column, isPath: false }
  // `jsonb` compares and sorts, `json` does neither; any other type (an array, a composite) is seen as JSON.
  if (column.type.kind !== 'jsonb') sql = `pg_catalog.to_jsonb(${sql})`
  for (const step of field.path) {
    // Keys come from outside, so they are values like any other.
    const key = bind(scope.params, step.key, step.isIndex ? 'int' : 'text')
    sql = `(${sql} ${step.asText ? '->>' : '->'} ${key})`
  }
  return { sql, type: field.path.at(-1)!.asText ? 'text' : 'jsonb', column, isPath: true }
}

/** The name that an answer gives a field without an alias: the last key of its path, or the column's. */
export function fieldName(field: Field): string {
  const key = field.path.findLast((step) => !step.isIndex)?.key
  return key ?? field.name
}

/**
 * Looks a cast up among the types that a client may ask for.
 *
 * @throws RestError 42704 for any other: the type's name would become part of the statement's text
 */
export function castSql(cast: string): string {
  const isArray = cast.endsWith('[]')
  const name = (isArray ? cast.slice(0, -2) : cast).trim().toLowerCase()
  const type = CASTS.get(name)
  if (type === undefined) throw new RestError(400, '42704', `type "${cast}" does not exist or cannot be cast to`)
  return isArray ? `${type}[]` : type
}

const CASTS: ReadonlyMap<string, string> = new Map([
  ...[
    'text',
    'varchar',
    'bpchar',
    'name',
    'bool',
    'int2',
    'int4',
    'int8',
    'float4',
    'float8',
    'numeric',
    'money',
    'date',
    'time',
    'timetz',
    'timestamp',
    'timestamptz',
    'interval',
    'uuid',
    'json',
    'jsonb',
    'bytea',
    'inet',
    'cidr',
    'macaddr',
    'tsvector',
  ].map((name): [string, string] => [name, `pg_catalog.${name}`]),
  ['boolean', 'pg_catalog.bool'],
  ['smallint', 'pg_catalog.int2'],
  ['int', 'pg_catalog.int4'],
  ['integer', 'pg_catalog.int4'],
  ['bigint', 'pg_catalog.int8'],
  ['real', 'pg_catalog.float4'],
  ['float', 'pg_catalog.float8'],
  ['double precision', 'pg_catalog.float8'],
  ['decimal', 'pg_catalog.numeric'],
  ['character varying', 'pg_catalog.varchar'],
  ['timestamp with time zone', 'pg_catalog.timestamptz'],
  ['timestamp without time zone', 'pg_catalog.timestamp'],
])
