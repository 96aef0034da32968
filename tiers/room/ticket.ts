import { createHmac, randomUUID } from 'node:crypto'
import type { IsolationLevel, TenantId } from '../types.ts'
import { databaseKey, type TicketKey } from './keys.ts'

/** What a ticket vouches for. */
export interface TicketFacts {
  readonly database: string
  readonly tenant: TenantId
  readonly epoch: number
  readonly readOnly: boolean
  readonly isolationLevel: IsolationLevel
  /** JSON, or empty when no user is known. */
  readonly claims: string
}

export interface Ticket {
  readonly text: string
  readonly mac: Buffer
}

/** Long enough for clocks that differ a little; a ticket is used within about a second of being made. */
const TICKET_LIFE_MS = 15_000

/**
 * Signs a ticket: lines, in the order in which `tenancy.enter` reads them. None can hold a line break, the claims because
 * JSON escapes it, so that there is one way to read the text that was signed.
 */
export function signTicket(key: TicketKey, facts: TicketFacts, nowMs = Date.now()): Ticket {
  const text = [
    key.kid,
    facts.tenant,
    facts.epoch,
    Math.ceil((nowMs + TICKET_LIFE_MS) / 1000),
    `${facts.readOnly ? 'ro' : 'rw'} ${facts.isolationLevel}`,
    randomUUID(),
    facts.claims,
  ].join('\n')
  return { text, mac: createHmac('sha256', databaseKey(key, facts.database)).update(text).digest() }
}
