import type { Catalogue, Column, Table } from '../catalogue/types.ts'

export type JsonSchema = Record<string, unknown>

/** JSON Schema (2020-12) of a row of each table, by the table's name. */
export function rowSchemas({ tables, relationships }: Catalogue): Record<string, JsonSchema> {
  const schemas: Record<string, JsonSchema> = {}
  for (const table of tables.values()) {
    const references = new Map<string, string>()
    for (const relationship of relationships.get(table.name) ?? []) {
      if (relationship.cardinality === 'many-to-many' || relationship.cardinality === 'one-to-many') continue
      for (const [local, foreign] of relationship.pairs) references.set(local, `${relationship.to}.${foreign}`)
    }
    schemas[table.name] = rowSchema(table, references)
  }
  return schemas
}

function rowSchema(table: Table, references: ReadonlyMap<string, string>): JsonSchema {
  const columns = [...table.columns.values()]
  const primary = new Set(table.primaryKey?.columns)
  const properties = Object.fromEntries(
    columns.map((column) => {
      const notes = [column.comment]
      if (primary.has(column.name)) notes.push('Primary key.')
      else if (references.has(column.name)) notes.push(`Refers to ${references.get(column.name)}.`)
      return [column.name, columnSchema(column, notes.filter((note) => note !== null).join(' '))]
    }),
  )
  return {
    type: 'object',
    ...(table.comment === null ? {} : { description: table.comment }),
    properties,
    required: columns.filter(isRequired).map((column) => column.name),
  }
}

/** Has to be sent with an insert. */
export function isRequired(column: Column): boolean {
  return !column.nullable && !column.hasDefault
}

function columnSchema(column: Column, description: string): JsonSchema {
  const { type } = column
  const schema = type.enumValues.length > 0 ? enumSchema(column) : typeSchema(type.label, column.nullable)
  return {
    ...schema,
    ...(description === '' ? {} : { description }),
    ...(column.generated ? { readOnly: true } : {}),
    'x-postgres-type': type.label,
  }
}

function enumSchema({ type, nullable }: Column): JsonSchema {
  return nullable
    ? { type: ['string', 'null'], enum: [...type.enumValues, null] }
    : { type: 'string', enum: type.enumValues }
}

function typeSchema(label: string, nullable: boolean): JsonSchema {
  const nullableType = (type: string) => (nullable ? [type, 'null'] : type)
  if (label.endsWith('[]')) return { type: nullableType('array'), items: typeSchema(label.slice(0, -2), true) }
  // A length or precision is the database's to check: `character varying(60)`.
  const bare = label.replace(/\(.*?\)/, '')
  if (bare === 'json' || bare === 'jsonb') return {}
  const { type, format } = TYPES.get(bare) ?? { type: 'string' }
  return { type: nullableType(type), ...(format === undefined ? {} : { format }) }
}

const TYPES: ReadonlyMap<string, { type: string; format?: string }> = new Map([
  ['smallint', { type: 'integer', format: 'int32' }],
  ['integer', { type: 'integer', format: 'int32' }],
  ['bigint', { type: 'integer', format: 'int64' }],
  ['numeric', { type: 'number' }],
  ['real', { type: 'number', format: 'float' }],
  ['double precision', { type: 'number', format: 'double' }],
  ['boolean', { type: 'boolean' }],
  ['uuid', { type: 'string', format: 'uuid' }],
  ['date', { type: 'string', format: 'date' }],
  ['timestamp with time zone', { type: 'string', format: 'date-time' }],
])
