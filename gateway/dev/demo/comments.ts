import type { Faker } from '@faker-js/faker'
import { DAY_MS, type Period } from './period.ts'
import { QUESTIONS, REPLIES } from './phrases.ts'
import type { Fill } from './text.ts'
import type { Ticket } from './tickets.ts'

export interface Comment {
  readonly ticket: Ticket
  readonly isFromAgent: boolean
  readonly body: string
  readonly createdAt: Date
}

const OPEN_CONVERSATION_MAX_MS = 5 * DAY_MS

/**
 * What is said on a ticket: agent and customer by turns, the agent's answer last when the ticket is resolved. While
 * nobody has taken the ticket, only the customer speaks.
 */
export function makeConversation(faker: Faker, fill: Fill, period: Period, ticket: Ticket, count: number): Comment[] {
  const start = ticket.createdAt.getTime()
  const end = ticket.resolvedAt?.getTime() ?? Math.min(start + OPEN_CONVERSATION_MAX_MS, period.to.getTime())
  const moments = Array.from({ length: count }, () => start + faker.number.float() * (end - start)).sort(
    (a, b) => a - b,
  )
  return moments.map((moment, at) => {
    const isLast = at === count - 1
    const isAnswer = isLast && ticket.resolvedAt !== null
    const isFromAgent = ticket.agent !== null && (isAnswer || at % 2 === 0)
    const text = isAnswer ? ticket.case.answer : faker.helpers.arrayElement<string>(isFromAgent ? QUESTIONS : REPLIES)
    return {
      ticket,
      isFromAgent,
      body: fill(text),
      createdAt: new Date(isAnswer ? end : moment),
    }
  })
}
