import {
  entityKind,
  fillPlaceholders,
  type Query,
  type RelationalSchemaConfig,
  type SQL,
  type TablesRelationalConfig,
} from 'drizzle-orm'
import {
  type PgDialect,
  PgPreparedQuery,
  PgSession,
  PgTransaction,
  type PgTransactionConfig,
  type PreparedQueryConfig,
} from 'drizzle-orm/pg-core'
import * as drizzleUtils from 'drizzle-orm/utils'
import { drizzleParsers } from '../pg/values.ts'
import type { Statement } from '../room/steps.ts'
import type { QueryResult, TransactionOptions } from '../types.ts'
import type { TenantResultHKT } from './database.ts'

// biome-ignore lint/suspicious/noExplicitAny: Drizzle's generics over tables are open-ended
export type TenantSchema<_Schema = any> = RelationalSchemaConfig<any>

/** What the session runs on: a room, or a transaction that is open in one. */
export interface Executor {
  execute(statement: Statement): Promise<QueryResult>
  transaction<T>(work: (inner: Executor) => Promise<T>, options?: TransactionOptions): Promise<T>
}

type Fields = readonly unknown[]
/** What every Drizzle driver maps rows with; left out of the package's public types. */
const { mapResultRow } = drizzleUtils as unknown as {
  mapResultRow(fields: Fields, row: unknown[], nullable: Record<string, boolean> | undefined): unknown
}
type RowMapper = (rows: unknown[][], mapColumn?: (value: unknown) => unknown) => unknown

class TenantPreparedQuery<T extends PreparedQueryConfig> extends PgPreparedQuery<T> {
  static override readonly [entityKind]: string = 'TenantPreparedQuery'
  readonly #executor: Executor
  readonly #query: Query
  readonly #fields: Fields | undefined
  readonly #mapper: RowMapper | undefined
  /** Set by Drizzle's select builder after this was made. */
  declare joinsNotNullableMap: Record<string, boolean> | undefined

  constructor(executor: Executor, query: Query, fields: Fields | undefined, mapper: RowMapper | undefined) {
    super(query, undefined, undefined, undefined)
    this.#executor = executor
    this.#query = query
    this.#fields = fields
    this.#mapper = mapper
  }

  override async execute(placeholders: Record<string, unknown> = {}): Promise<T['execute']> {
    const { sql, params } = this.#query
    const values = fillPlaceholders(params, placeholders)
    const fields = this.#fields
    const mapper = this.#mapper
    const rows = fields === undefined && mapper === undefined ? 'object' : 'array'
    const result = await this.#executor.execute({ text: sql, params: values, rows, parsers: drizzleParsers })
    if (mapper !== undefined) return mapper(result.rows as unknown as unknown[][]) as T['execute']
    if (fields === undefined) return result as T['execute']
    const nullable = this.joinsNotNullableMap
    return result.rows.map((row) => mapResultRow(fields, row as unknown as unknown[], nullable)) as T['execute']
  }

  async all(placeholders: Record<string, unknown> = {}): Promise<T['all']> {
    const values = fillPlaceholders(this.#query.params, placeholders)
    const result = await this.#executor.execute({ text: this.#query.sql, params: values, parsers: drizzleParsers })
    return result.rows as T['all']
  }

  isResponseInArrayMode(): boolean {
    return false
  }
}

/** Drizzle's session over a tenant's room: builds nothing itself, runs everything through the one interface. */
export class TenantSession<Schema extends Record<string, unknown>> extends PgSession<
  TenantResultHKT,
  Schema,
  TablesRelationalConfig
> {
  static override readonly [entityKind]: string = 'TenantSession'
  readonly #executor: Executor
  readonly #schema: TenantSchema<Schema>

  constructor(dialect: PgDialect, executor: Executor, schema: TenantSchema<Schema>) {
    super(dialect)
    this.#executor = executor
    this.#schema = schema
  }

  override prepareQuery<T extends PreparedQueryConfig>(
    query: Query,
    fields: Fields | undefined,
    _name: string | undefined,
    _arrayMode: boolean,
    mapper?: RowMapper,
  ): PgPreparedQuery<T> {
    return new TenantPreparedQuery<T>(this.#executor, query, fields, mapper)
  }

  /** Drizzle's `$count`. */
  override async count(query: SQL): Promise<number> {
    const result = await this.execute<QueryResult>(query)
    return Number(result.rows[0]?.count)
  }

  override transaction<T>(
    work: (tx: PgTransaction<TenantResultHKT, Schema, TablesRelationalConfig>) => Promise<T>,
    config: PgTransactionConfig = {},
  ): Promise<T> {
    const options: TransactionOptions = {
      ...(config.accessMode === 'read only' ? { readOnly: true } : {}),
      ...(config.isolationLevel && config.isolationLevel !== 'read uncommitted'
        ? { isolationLevel: config.isolationLevel }
        : {}),
    }
    return this.#executor.transaction((inner) => {
      const session = new TenantSession<Schema>(this.dialect, inner, this.#schema)
      return work(new TenantTransaction<Schema>(this.dialect, session as never, this.#schema as never))
    }, options)
  }
}

/** An open transaction, as Drizzle hands it to a callback; a transaction inside it is a savepoint. */
class TenantTransaction<Schema extends Record<string, unknown>> extends PgTransaction<
  TenantResultHKT,
  Schema,
  TablesRelationalConfig
> {
  static override readonly [entityKind]: string = 'TenantTransaction'

  override transaction<T>(
    work: (tx: PgTransaction<TenantResultHKT, Schema, TablesRelationalConfig>) => Promise<T>,
  ): Promise<T> {
    return (this as unknown as { session: TenantSession<Schema> }).session.transaction(work)
  }
}
