import { createHash } from 'node:crypto'
import type { Step } from '../pg/batch.ts'
import type { TicketKey } from './keys.ts'
import { signTicket, type TicketFacts } from './ticket.ts'

export interface EnterTimeouts {
  readonly statementMs: number
  readonly lockMs: number
  /** Zero outside an interactive transaction, where a connection is never idle in one. */
  readonly idleMs: number
}

const ENTER = 'select tenancy.enter($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)'

/** Clears what an earlier tenant's statement may have left in the session. */
export const RESET_STEP: Step = { text: 'reset all', params: [], prepared: true, rows: 'none' }

export function enterStep(key: TicketKey, facts: TicketFacts, timeouts: EnterTimeouts): Step {
  const ticket = signTicket(key, facts)
  return {
    text: ENTER,
    params: [
      ticket.kid,
      ticket.mac,
      facts.tenant,
      facts.epoch,
      ticket.deadlineMs,
      ticket.nonce,
      facts.readOnly,
      facts.isolationLevel,
      timeouts.statementMs,
      timeouts.lockMs,
      timeouts.idleMs,
      opaqueName(facts.tenant),
      facts.claims,
    ],
    prepared: true,
    rows: 'none',
  }
}

/** Sets the path for raw SQL in a schema of the tenant's own; the shared rooms have it from their role. */
export function searchPathStep(schema: string): Step {
  return {
    text: `select set_config('search_path', $1, true)`,
    params: [`"${schema}", pg_temp`],
    prepared: true,
    rows: 'none',
  }
}

/** Tenants share a database role and so see each other's application names: this one tells them nothing. */
function opaqueName(tenant: string): string {
  return `ink-${createHash('sha256').update(tenant).digest('hex').slice(0, 12)}`
}
