import { createHmac, randomUUID } from 'node:crypto'
import type { IsolationLevel, TenantId } from '../types.ts'
import type { TicketKey } from './keys.ts'

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
  readonly kid: string
  readonly mac: Buffer
  readonly deadlineMs: number
  readonly nonce: string
}

/** Long enough for clocks that differ a little; a ticket is used within milliseconds of being made. */
const TICKET_LIFE_MS = 15_000
const LABEL = Buffer.from('innkeeper-ticket-1')

/** Signs a ticket. The layout is the one that `tenancy.enter` rebuilds: fixed-width fields, then length-prefixed ones. */
export function signTicket(key: TicketKey, facts: TicketFacts, nowMs = Date.now()): Ticket {
  const deadlineMs = nowMs + TICKET_LIFE_MS
  const nonce = randomUUID()
  const fixed = Buffer.allocUnsafe(49)
  fixed.write(facts.tenant.replaceAll('-', ''), 0, 'hex')
  fixed.writeBigInt64BE(BigInt(facts.epoch), 16)
  fixed.writeBigInt64BE(BigInt(deadlineMs), 24)
  fixed.write(nonce.replaceAll('-', ''), 32, 'hex')
  fixed[48] = facts.readOnly ? 1 : 0
  const mac = createHmac('sha256', key.key).update(LABEL).update(fixed)
  for (const text of [facts.isolationLevel, facts.database, facts.claims]) {
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(Buffer.byteLength(text))
    mac.update(length).update(text)
  }
  return { kid: key.kid, mac: mac.digest(), deadlineMs, nonce }
}
