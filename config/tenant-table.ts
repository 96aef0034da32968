import { type SQL, sql, Table } from 'drizzle-orm'
import type { BuildColumns } from 'drizzle-orm/column-builder'
import {
  foreignKey,
  index,
  type PgColumn,
  type PgColumnBuilderBase,
  type PgTable,
  type PgTableWithColumns,
  pgSchema,
  primaryKey,
  type UpdateDeleteAction,
  unique,
  uuid,
} from 'drizzle-orm/pg-core'

/** Stands for "the tenant's own schema" in SQL text; the data layer puts the real one in when a statement is sent. */
export const ROOM_SCHEMA = '{room}'
/** For what is not a table: `room.enum(...)`, `room.view(...)`. */
export const room = pgSchema(ROOM_SCHEMA)

/** What the column is filled with: the raw setting, because a verified one makes bulk inserts several times slower. The
 *  policy's WITH CHECK verifies it. */
export const TENANT_DEFAULT: SQL = sql.raw(`nullif(current_setting('tenancy.tenant', true), '')::uuid`)

const COLUMNS: symbol = (Table as unknown as { Symbol: { Columns: symbol } }).Symbol.Columns
const TENANT_COLUMN = Symbol.for('innkeeper.tenantColumn')
const REFERENCE = Symbol.for('innkeeper.reference')

type Columns = Record<string, PgColumnBuilderBase>
type TenantTable<N extends string, C extends Columns> = PgTableWithColumns<{
  name: N
  schema: typeof ROOM_SCHEMA
  columns: BuildColumns<N, C, 'pg'>
  dialect: 'pg'
}>

export interface ForeignKey<K extends string> {
  columns: readonly [K, ...K[]]
  /** The table it points at, in a function so that tables may refer to each other and to themselves. */
  // biome-ignore lint/suspicious/noExplicitAny: a self-reference would otherwise be a circular type
  to: () => any
  /** Of the other table; its primary key `id` where left out. */
  foreign?: readonly [string, ...string[]]
  onDelete?: 'cascade' | 'restrict' | 'no action'
  onUpdate?: UpdateDeleteAction
}

export interface TenantTableOptions<K extends string> {
  /** `['id']` where left out. */
  primaryKey?: readonly [K, ...K[]]
  unique?: readonly (readonly [K, ...K[]])[]
  references?: readonly ForeignKey<K>[]
  indexes?: readonly (readonly [K, ...K[]])[]
}

/**
 * A table of the application, as it looks to one tenant. The helper adds `tenant_id`, filled by default and hidden from
 * queries, and leads the primary key, every unique key, every foreign key and every index with it: on the shared tables
 * that is what keeps tenants apart, and the same DDL on every isolation model is what lets a tenant move.
 */
export function tenantTable<N extends string, C extends Columns>(
  name: N,
  columns: C,
  options: TenantTableOptions<keyof C & string> = {},
): TenantTable<N, C> {
  const all = { tenantId: uuid('tenant_id').notNull().default(TENANT_DEFAULT), ...columns }
  const table = room.table(name, all, (t) => {
    const own = t as unknown as Record<string, PgColumn>
    const led = (keys: readonly string[]) => [own.tenantId!, ...keys.map((k) => own[k]!)] as [PgColumn, ...PgColumn[]]
    const named = (kind: string, keys: readonly string[]) =>
      `${name}_${keys.map((k) => own[k]!.name).join('_')}_${kind}`
    return [
      primaryKey({ name: `${name}_pkey`, columns: led(options.primaryKey ?? ['id']) }),
      ...(options.unique ?? []).map((keys) => unique(named('key', keys)).on(...led(keys))),
      ...(options.indexes ?? []).map((keys) => index(named('idx', keys)).on(...led(keys))),
      ...(options.references ?? []).flatMap((reference) => {
        const foreignTable = reference.to() as PgTable
        const foreign = (reference.foreign ?? ['id']).map((k) => columnsOf(foreignTable)[k]!)
        const key = foreignKey({
          name: named('fkey', reference.columns),
          columns: led(reference.columns),
          foreignColumns: [tenantColumn(foreignTable)!, ...foreign],
        })
        if (reference.onDelete) key.onDelete(reference.onDelete)
        if (reference.onUpdate) key.onUpdate(reference.onUpdate)
        // A foreign key without an index of its own makes each delete of a parent a scan.
        return [key, index(named('fkey_idx', reference.columns)).on(...led(reference.columns))]
      }),
    ]
  })
  hideTenantColumn(table)
  return table as unknown as TenantTable<N, C>
}

/** A table that every tenant reads and none writes, filled by migrations: countries, currencies. It has no `tenant_id`. */
export const referenceTable: typeof room.table = ((...args: Parameters<typeof room.table>) => {
  const table = room.table(...args)
  Object.defineProperty(table, REFERENCE, { value: true })
  return table
}) as typeof room.table

export function isReferenceTable(table: object): boolean {
  return REFERENCE in table
}

/** The hidden column of a tenant table; undefined for any other table. */
export function tenantColumn(table: object): PgColumn | undefined {
  return (table as Record<symbol, PgColumn | undefined>)[TENANT_COLUMN]
}

/** Puts the hidden column back, for the generator of migrations, which must see it. */
export function showTenantColumn(table: PgTable): void {
  const hidden = tenantColumn(table)
  if (hidden === undefined) return
  const rest = columnsOf(table)
  ;(table as unknown as Record<symbol, unknown>)[COLUMNS] = { tenantId: hidden, ...rest }
}

function hideTenantColumn(table: PgTable): void {
  const { tenantId, ...rest } = columnsOf(table)
  Object.defineProperty(table, TENANT_COLUMN, { value: tenantId })
  ;(table as unknown as Record<symbol, unknown>)[COLUMNS] = rest
  delete (table as unknown as Record<string, unknown>).tenantId
}

function columnsOf(table: PgTable): Record<string, PgColumn> {
  return (table as unknown as Record<symbol, Record<string, PgColumn>>)[COLUMNS]!
}
