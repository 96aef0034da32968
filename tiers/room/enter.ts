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

/** Clears what an earlier tenant's statement may have left in the session. */
export const RESET_STEP: Step = { name: 'reset', text: 'reset all', params: [], prepared: true, rows: 'none' }

// The search path beside it is for raw SQL in a schema of the tenant's own; the shared rooms have theirs from the role.
// `enter` cannot set it, because its own path is put back when it returns.
const PATH = `set_config('search_path', $3, true)`
const ENTER = {
  single: { name: 'enter', text: 'select tenancy.enter($1, $2, $3)' },
  interactive: { name: 'enter_i', text: 'select tenancy.enter($1, $2, $3, $4, $5, $6)' },
}
const ENTER_SCHEMA = {
  single: { name: 'enter_s', text: `select tenancy.enter($1, $2, $4), ${PATH}` },
  interactive: { name: 'enter_si', text: `select tenancy.enter($1, $2, $4, $5, $6, $7), ${PATH}` },
}

/** @param ownSchema the tenant's own schema, or null where rooms share one */
export function enterStep(
  key: TicketKey,
  facts: TicketFacts,
  timeouts: EnterTimeouts,
  ownSchema: string | null = null,
): Step {
  const ticket = signTicket(key, facts)
  const interactive = timeouts.idleMs > 0
  const params: unknown[] = [ticket.text, ticket.mac]
  if (ownSchema !== null) params.push(`"${ownSchema}", pg_temp`)
  params.push(String(timeouts.statementMs))
  if (interactive) params.push(String(timeouts.lockMs), String(timeouts.idleMs), opaqueName(facts.tenant))
  const form = ownSchema === null ? ENTER : ENTER_SCHEMA
  return { ...form[interactive ? 'interactive' : 'single'], params, prepared: true, rows: 'none' }
}

/** Tenants share a database role and so see each other's application names: this one tells them nothing. */
function opaqueName(tenant: string): string {
  return `ink-${createHash('sha256').update(tenant).digest('hex').slice(0, 12)}`
}
