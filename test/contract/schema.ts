import { bigint, boolean, date, doublePrecision, integer, jsonb, numeric, text, timestamp } from 'drizzle-orm/pg-core'
import { referenceTable, room, tenantTable } from '../../config/tenant-table.ts'

/** The demo's tables, and those of `0900_probes.sql`. */
export * from '../../config/schema.ts'

export const things = tenantTable('things', {
  id: bigint({ mode: 'number' }).generatedByDefaultAsIdentity(),
  label: text().notNull(),
  price: numeric({ precision: 20, scale: 6 }),
  labels: text().array().notNull().default([]),
  counts: integer().array(),
  born: date(),
  localAt: timestamp('local_at'),
  at: timestamp({ withTimezone: true }),
  flag: boolean(),
  data: jsonb().$type<unknown>(),
  big: bigint({ mode: 'bigint' }),
  ratio: doublePrecision(),
})

export const slots = tenantTable('slots', { id: bigint({ mode: 'number' }).notNull(), place: integer().notNull() })
export const counters = tenantTable('counters', {
  id: bigint({ mode: 'number' }).notNull(),
  deleted: bigint({ mode: 'number' }).notNull().default(0),
})
export const countries = referenceTable('countries', { code: text().primaryKey(), name: text().notNull() })
export const customerNames = room.view('customer_names', { id: bigint({ mode: 'number' }), name: text() }).existing()
