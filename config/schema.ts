import { relations } from 'drizzle-orm'
import { bigint, boolean, jsonb, text, timestamp } from 'drizzle-orm/pg-core'
import { room, tenantTable } from './tenant-table.ts'

/** The demo's application: a help desk. A product puts its own tables here, written as if there were one tenant. */

const id = () => bigint({ mode: 'number' }).generatedByDefaultAsIdentity()
const createdAt = () => timestamp('created_at', { withTimezone: true }).notNull().defaultNow()
const custom = () => jsonb().$type<Record<string, unknown>>().notNull().default({})

export const ticketStatus = room.enum('ticket_status', ['open', 'pending', 'resolved', 'closed'])
export const ticketPriority = room.enum('ticket_priority', ['low', 'normal', 'high', 'urgent'])

export const customers = tenantTable(
  'customers',
  {
    id: id(),
    name: text().notNull(),
    email: text().notNull(),
    company: text(),
    phone: text(),
    custom: custom(),
    createdAt: createdAt(),
  },
  { unique: [['email']] },
)

export const agents = tenantTable(
  'agents',
  {
    id: id(),
    name: text().notNull(),
    email: text().notNull(),
    active: boolean().notNull().default(true),
    createdAt: createdAt(),
  },
  { unique: [['email']] },
)

export const tickets = tenantTable(
  'tickets',
  {
    id: id(),
    customerId: bigint('customer_id', { mode: 'number' }).notNull(),
    agentId: bigint('agent_id', { mode: 'number' }),
    subject: text().notNull(),
    body: text().notNull().default(''),
    status: ticketStatus().notNull().default('open'),
    priority: ticketPriority().notNull().default('normal'),
    custom: custom(),
    createdAt: createdAt(),
    updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
    resolvedAt: timestamp('resolved_at', { withTimezone: true }),
  },
  {
    references: [
      { columns: ['customerId'], to: () => customers, onDelete: 'cascade' },
      { columns: ['agentId'], to: () => agents },
    ],
    indexes: [
      ['status', 'createdAt'],
      ['createdAt', 'id'],
    ],
  },
)

export const comments = tenantTable(
  'comments',
  {
    id: id(),
    ticketId: bigint('ticket_id', { mode: 'number' }).notNull(),
    /** Null where the customer wrote it. */
    agentId: bigint('agent_id', { mode: 'number' }),
    body: text().notNull(),
    createdAt: createdAt(),
  },
  {
    references: [
      { columns: ['ticketId'], to: () => tickets, onDelete: 'cascade' },
      { columns: ['agentId'], to: () => agents },
    ],
  },
)

export const tags = tenantTable('tags', { id: id(), name: text().notNull(), color: text() }, { unique: [['name']] })

export const ticketTags = tenantTable(
  'ticket_tags',
  {
    ticketId: bigint('ticket_id', { mode: 'number' }).notNull(),
    tagId: bigint('tag_id', { mode: 'number' }).notNull(),
  },
  {
    primaryKey: ['ticketId', 'tagId'],
    references: [
      { columns: ['ticketId'], to: () => tickets, onDelete: 'cascade' },
      { columns: ['tagId'], to: () => tags, onDelete: 'cascade' },
    ],
  },
)

export const customersRelations = relations(customers, ({ many }) => ({ tickets: many(tickets) }))
export const agentsRelations = relations(agents, ({ many }) => ({ tickets: many(tickets) }))
export const ticketsRelations = relations(tickets, ({ one, many }) => ({
  customer: one(customers, { fields: [tickets.customerId], references: [customers.id] }),
  agent: one(agents, { fields: [tickets.agentId], references: [agents.id] }),
  comments: many(comments),
  tags: many(ticketTags),
}))
export const commentsRelations = relations(comments, ({ one }) => ({
  ticket: one(tickets, { fields: [comments.ticketId], references: [tickets.id] }),
}))
export const ticketTagsRelations = relations(ticketTags, ({ one }) => ({
  ticket: one(tickets, { fields: [ticketTags.ticketId], references: [tickets.id] }),
  tag: one(tags, { fields: [ticketTags.tagId], references: [tags.id] }),
}))
