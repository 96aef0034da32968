/** What the database says about one schema, as the data API shows it: frozen, and without `tenant_id`. */

/** Present in every application table, first in its keys, and never shown to a client. */
export const TENANT_COLUMN = 'tenant_id'

export interface ColumnType {
  /** As SQL writes it, qualified and quoted; a type of the tenant's own schema stands in the room's placeholder. */
  readonly sql: string
  /** As people write it, for the documentation: `timestamp with time zone`, `text[]`. */
  readonly label: string
  readonly kind: 'scalar' | 'array' | 'json' | 'jsonb' | 'tsvector' | 'composite'
  /** The labels of an enum, in order; empty for any other type. */
  readonly enumValues: readonly string[]
}

export interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  /** Filled when absent: a default, an identity or a generated column. */
  readonly hasDefault: boolean
  /** Computed by the database: a client can never write it. */
  readonly generated: boolean
  readonly comment: string | null
}

export interface Key {
  readonly name: string
  /** Without `tenant_id`; empty when the key was `tenant_id` alone. */
  readonly columns: readonly string[]
  /** As the database has it, which is what ON CONFLICT must name. */
  readonly allColumns: readonly string[]
}

export interface Table {
  readonly name: string
  readonly kind: 'table' | 'view'
  readonly comment: string | null
  /** By name, in the table's order, without `tenant_id`. */
  readonly columns: ReadonlyMap<string, Column>
  readonly primaryKey: Key | null
  /** Unique keys, the primary one first. */
  readonly uniqueKeys: readonly Key[]
  readonly privileges: Readonly<Record<'insert' | 'update' | 'delete', boolean>>
}

/** One column of a table equals one column of another; `tenant_id` is among the pairs where the key has it. */
export type JoinPair = readonly [local: string, foreign: string]

interface RelationshipBase {
  readonly from: string
  readonly to: string
  /** The foreign key's name; of a many-to-many, the join table's. */
  readonly name: string
  /** What may be named to pick this one: constraints, single columns, join tables. */
  readonly hints: readonly string[]
  /** What may stand in place of the target's name in `select`. */
  readonly targets: readonly string[]
}

export interface DirectRelationship extends RelationshipBase {
  readonly cardinality: 'many-to-one' | 'one-to-one' | 'one-to-many'
  readonly pairs: readonly JoinPair[]
}

export interface JunctionRelationship extends RelationshipBase {
  readonly cardinality: 'many-to-many'
  readonly junction: string
  /** From this table's columns to the join table's. */
  readonly near: readonly JoinPair[]
  /** From the join table's columns to the other table's. */
  readonly far: readonly JoinPair[]
}

export type Relationship = DirectRelationship | JunctionRelationship

export interface ForeignKey {
  readonly name: string
  readonly from: string
  readonly to: string
  readonly pairs: readonly JoinPair[]
}

export interface Catalogue {
  readonly schema: string
  readonly tables: ReadonlyMap<string, Table>
  /** By the name of the table they start from. */
  readonly relationships: ReadonlyMap<string, readonly Relationship[]>
}
