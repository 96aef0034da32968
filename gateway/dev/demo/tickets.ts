import type { Faker } from '@faker-js/faker'
import type { Agent, Customer } from './people.ts'
import { DAY_MS, HOUR_MS, type Period } from './period.ts'
import { CIRCUMSTANCES, CLOSINGS } from './phrases.ts'
import type { Fill } from './text.ts'
import { type Case, TOPICS, type Topic } from './topics.ts'

export type Status = 'open' | 'pending' | 'resolved' | 'closed'

export interface Ticket {
  readonly id: number
  readonly customer: Customer
  /** Null while nobody has taken it. */
  readonly agent: Agent | null
  readonly topic: Topic
  /** What it is about, within the topic. */
  readonly case: Case
  readonly subject: string
  readonly body: string
  readonly status: Status
  readonly priority: string
  readonly custom: Record<string, unknown>
  readonly createdAt: Date
  /** Not null when, and only when, it is resolved or closed. */
  readonly resolvedAt: Date | null
}

export interface People {
  readonly customers: readonly Customer[]
  readonly agents: readonly Agent[]
}

/** How tickets are spread over the statuses, by their age. */
type Shares = readonly { value: Status; weight: number }[]

const PRIORITIES = [
  { value: 'low', weight: 2 },
  { value: 'normal', weight: 6 },
  { value: 'high', weight: 2 },
  { value: 'urgent', weight: 1 },
]
const CHANNELS = ['email', 'web', 'chat', 'phone']
const NEW: Shares = [
  { value: 'open', weight: 6 },
  { value: 'pending', weight: 3 },
  { value: 'resolved', weight: 2 },
]
const RECENT: Shares = [
  { value: 'open', weight: 2 },
  { value: 'pending', weight: 3 },
  { value: 'resolved', weight: 9 },
  { value: 'closed', weight: 5 },
]
const OLD: Shares = [
  { value: 'pending', weight: 1 },
  { value: 'resolved', weight: 9 },
  { value: 'closed', weight: 90 },
]
const RESOLVED_AFTER_MAX_MS = 6 * DAY_MS

/** Tickets in the order in which they came, more of them towards the end: the business has grown. */
export function makeTickets(faker: Faker, fill: Fill, period: Period, people: People, count: number): Ticket[] {
  const length = period.to.getTime() - period.from.getTime()
  const ages = Array.from({ length: count }, () => Math.sqrt(faker.number.float()))
  const known = newcomers(people.customers)
  return ages
    .sort((a, b) => a - b)
    .map((age, at) => {
      // The last hour stays free, so that whatever is answered at all is answered within the period.
      const createdAt = new Date(period.from.getTime() + age * (length - HOUR_MS))
      const customer = faker.helpers.arrayElement(known(createdAt))
      return makeTicket(faker, fill, period, at + 1, customer, people.agents, createdAt)
    })
}

function makeTicket(
  faker: Faker,
  fill: Fill,
  period: Period,
  id: number,
  customer: Customer,
  agents: readonly Agent[],
  createdAt: Date,
): Ticket {
  const pick = <T>(list: readonly T[]): T => faker.helpers.arrayElement(list)
  const topic = pick(TOPICS)
  const about = pick(topic.cases)
  const status = statusAtAge(faker, (period.to.getTime() - createdAt.getTime()) / DAY_MS)
  const isDone = status === 'resolved' || status === 'closed'
  const isTaken = status !== 'open' || faker.datatype.boolean(0.5)
  const candidates = isDone ? agents : agents.filter((agent) => agent.active)
  return {
    id,
    customer,
    agent: isTaken ? pick(candidates) : null,
    topic,
    case: about,
    subject: fill(about.subject),
    body: fill(`${about.report} ${pick<string>(CIRCUMSTANCES[topic.kind])} ${pick(CLOSINGS)}`),
    status,
    priority: faker.helpers.weightedArrayElement(PRIORITIES),
    custom: { channel: pick(CHANNELS), ...(faker.datatype.boolean(0.3) ? { order: fill('{order}') } : {}) },
    createdAt,
    resolvedAt: isDone ? resolvedAt(faker, period, createdAt) : null,
  }
}

/** Old tickets are closed, new ones are not. */
function statusAtAge(faker: Faker, ageDays: number): Status {
  const shares = ageDays < 10 ? NEW : ageDays < 60 ? RECENT : OLD
  return faker.helpers.weightedArrayElement(shares)
}

/** Most are resolved soon, a few take days. */
function resolvedAt(faker: Faker, period: Period, createdAt: Date): Date {
  const after = HOUR_MS + faker.number.float() ** 3 * RESOLVED_AFTER_MAX_MS
  return new Date(Math.min(createdAt.getTime() + after, period.to.getTime()))
}

/** The customers there were at a moment; asked for moments in their order, so that it goes through them only once. */
function newcomers(customers: readonly Customer[]): (moment: Date) => Customer[] {
  const known: Customer[] = []
  return (moment) => {
    while (known.length < customers.length && customers[known.length]!.createdAt <= moment) {
      known.push(customers[known.length]!)
    }
    return known
  }
}
