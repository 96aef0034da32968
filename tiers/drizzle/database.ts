import { type ExtractTablesWithRelations, entityKind } from 'drizzle-orm'
import { PgDatabase, PgDialect, type PgQueryResultHKT, type PgTransactionConfig } from 'drizzle-orm/pg-core'
import { createTableRelationsHelpers, extractTablesRelationalConfig } from 'drizzle-orm/relations'
import type { QueryResult } from '../types.ts'
import { type Executor, type TenantSchema, TenantSession } from './session.ts'

export interface TenantResultHKT extends PgQueryResultHKT {
  type: QueryResult<this['row']>
}

/** An ordinary Drizzle database whose every statement runs in one tenant's room. */
export class TenantDatabase<Schema extends Record<string, unknown>> extends PgDatabase<
  TenantResultHKT,
  Schema,
  ExtractTablesWithRelations<Schema>
> {
  static override readonly [entityKind]: string = 'TenantDatabase'
}

export type { PgTransactionConfig }

/** Reads the relations of a schema once, so that a database object per request is cheap. */
export function compileSchema<Schema extends Record<string, unknown>>(schema: Schema): TenantSchema<Schema> {
  const tables = extractTablesRelationalConfig(schema, createTableRelationsHelpers)
  return { fullSchema: schema, schema: tables.tables, tableNamesMap: tables.tableNamesMap } as TenantSchema<Schema>
}

const dialect = new PgDialect()

export function tenantDatabase<Schema extends Record<string, unknown>>(
  executor: Executor,
  schema: TenantSchema<Schema>,
): TenantDatabase<Schema> {
  const session = new TenantSession<Schema>(dialect, executor, schema)
  return new TenantDatabase<Schema>(dialect, session as never, schema as never)
}
