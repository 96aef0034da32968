import { createHash } from 'node:crypto'
import { en, Faker } from '@faker-js/faker'
import { type Comment, makeConversation } from './comments.ts'
import { makeAgents, makeCustomers } from './people.ts'
import { DEMO_PERIOD } from './period.ts'
import { HANDLING_TAGS } from './phrases.ts'
import { textFiller } from './text.ts'
import { makeTickets, type Ticket } from './tickets.ts'
import { TOPICS } from './topics.ts'

export interface DemoTable {
  readonly table: string
  readonly columns: readonly string[]
  /** One value for each column: a number, string, boolean, Date, null, or an object for a jsonb column. */
  readonly rows: readonly (readonly unknown[])[]
}

const AGENTS = 12
const ROWS_PER_CUSTOMER = 12
const TAG_NAMES: readonly string[] = [...TOPICS.map((topic) => topic.tag), ...HANDLING_TAGS]
const COMMENT_COUNTS = [0, 1, 1, 2, 2, 3, 3, 4, 6]
const HANDLING_TAG_COUNTS = [0, 0, 0, 1, 1, 2]

/**
 * A tenant's data for the demo, the same on every call: at least `rowCount` rows in all, tables in an order in which
 * their references can be loaded. Ids go from 1 without gaps, so sequences have to be set past them after loading.
 */
export function demoRows(slug: string, rowCount: number): DemoTable[] {
  const faker = new Faker({ locale: en, seed: createHash('sha256').update(slug).digest().readUInt32BE() })
  const fill = textFiller(faker)
  const customers = makeCustomers(faker, DEMO_PERIOD, Math.max(20, Math.ceil(rowCount / ROWS_PER_CUSTOMER)))
  const agents = makeAgents(faker, DEMO_PERIOD, slug, AGENTS)

  const sizes = ticketSizes(faker, rowCount - customers.length - agents.length - TAG_NAMES.length)
  const tickets = makeTickets(faker, fill, DEMO_PERIOD, { customers, agents }, sizes.length)
  const conversations = tickets.map((ticket, at) =>
    makeConversation(faker, fill, DEMO_PERIOD, ticket, sizes[at]!.comments),
  )
  const tagIds = tickets.map((ticket, at) => tagsOf(faker, ticket, sizes[at]!.handlingTags))

  return [
    table('customers', customers, (each) => ({
      id: each.id,
      name: each.name,
      email: each.email,
      company: each.company,
      phone: each.phone,
      custom: each.custom,
      created_at: each.createdAt,
    })),
    table('agents', agents, (each) => ({
      id: each.id,
      name: each.name,
      email: each.email,
      active: each.active,
      created_at: each.createdAt,
    })),
    table('tags', TAG_NAMES, (name, at) => ({ id: at + 1, name, color: at % 5 === 4 ? null : faker.color.rgb() })),
    table('tickets', tickets, (each, at) => ({
      id: each.id,
      customer_id: each.customer.id,
      agent_id: each.agent?.id ?? null,
      subject: each.subject,
      body: each.body,
      status: each.status,
      priority: each.priority,
      custom: each.custom,
      created_at: each.createdAt,
      updated_at: each.resolvedAt ?? conversations[at]!.at(-1)?.createdAt ?? each.createdAt,
      resolved_at: each.resolvedAt,
    })),
    table('comments', inTheirOrder(conversations.flat()), (each, at) => ({
      id: at + 1,
      ticket_id: each.ticket.id,
      agent_id: each.isFromAgent ? each.ticket.agent!.id : null,
      body: each.body,
      created_at: each.createdAt,
    })),
    table(
      'ticket_tags',
      tagIds.flatMap((ids, at) => ids.map((id) => ({ ticket: tickets[at]!.id, id }))),
      (each) => ({ ticket_id: each.ticket, tag_id: each.id }),
    ),
  ]
}

interface TicketSize {
  readonly comments: number
  readonly handlingTags: number
}

/** How much goes with each ticket, for as many tickets as make the number of rows. */
function ticketSizes(faker: Faker, rowCount: number): TicketSize[] {
  const sizes: TicketSize[] = []
  for (let rows = 0; rows < rowCount; ) {
    const comments = faker.helpers.arrayElement(COMMENT_COUNTS)
    const handlingTags = faker.helpers.arrayElement(HANDLING_TAG_COUNTS)
    sizes.push({ comments, handlingTags })
    rows += 2 + comments + handlingTags
  }
  return sizes
}

/** Its topic's tag, and some that are about its handling. */
function tagsOf(faker: Faker, ticket: Ticket, handlingTags: number): number[] {
  const names = [ticket.topic.tag, ...faker.helpers.arrayElements(HANDLING_TAGS, handlingTags)]
  return names.map((name) => TAG_NAMES.indexOf(name) + 1)
}

function inTheirOrder(comments: Comment[]): Comment[] {
  return comments.sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
}

function table<T>(name: string, items: readonly T[], row: (item: T, at: number) => Record<string, unknown>): DemoTable {
  const rows = items.map(row)
  return { table: name, columns: Object.keys(rows[0] ?? {}), rows: rows.map((each) => Object.values(each)) }
}
