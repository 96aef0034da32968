import { bigint, jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'

/** The control database as Drizzle sees it. The DDL, with its triggers, is in `migrations/`. */

export const tenants = pgTable('tenants', {
  id: uuid().primaryKey(),
  slug: text().notNull().unique(),
  tier: text().notNull(),
  region: text().notNull(),
  status: text().$type<'provisioning' | 'active' | 'suspended' | 'offboarded'>().notNull(),
  away: text().$type<'forward' | 'redirect' | 'reject'>(),
  profile: text(),
  pinned: text().array(),
  config: jsonb().$type<Record<string, unknown>>().notNull().default({}),
  epochLast: bigint('epoch_last', { mode: 'number' }).notNull().default(0),
  idempotencyKey: text('idempotency_key').unique(),
  requestDigest: text('request_digest'),
  version: bigint({ mode: 'number' }).notNull().default(0),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
})

export const placements = pgTable('placements', {
  tenantId: uuid('tenant_id')
    .primaryKey()
    .references(() => tenants.id, { onDelete: 'cascade' }),
  cluster: text().notNull(),
  database: text().notNull(),
  schema: text().notNull(),
  isolation: text().$type<'shared' | 'schema' | 'database'>().notNull(),
  epoch: bigint({ mode: 'number' }).notNull(),
})

export const domains = pgTable('domains', {
  domain: text().primaryKey(),
  tenantId: uuid('tenant_id')
    .notNull()
    .references(() => tenants.id, { onDelete: 'cascade' }),
})
