import type { PostgresHost, SessionTarget } from '../../config/index.ts'
import { addressOf } from './server.ts'

/** What one host says of itself. */
export type HostAnswer =
  /** The timeline rises with every promotion; read-only is a session that may not write by default. */
  | { readonly kind: 'primary'; readonly timeline: number; readonly isReadOnly: boolean }
  | { readonly kind: 'replica' }
  | { readonly kind: 'silent'; readonly error: Error }

export interface HostState {
  readonly host: PostgresHost
  readonly answer: HostAnswer
}

/** The host to write to, with its timeline. */
export interface Chosen {
  readonly host: PostgresHost
  readonly timeline: number
}

/**
 * The primary among the hosts of one cluster. Where several say that they are, the one that was promoted last; one that is
 * older than what was seen before is an old primary that came back, and is not written to.
 *
 * @param known the one that was chosen before: it goes first among equals
 * @returns null where none will do
 */
export function choosePrimary(
  states: readonly HostState[],
  target: SessionTarget,
  known: Chosen | null,
): Chosen | null {
  let best: Chosen | null = null
  for (const { host, answer } of states) {
    if (answer.kind !== 'primary') continue
    if (target === 'read-write' && answer.isReadOnly) continue
    if (known !== null && answer.timeline < known.timeline) continue
    const { timeline } = answer
    const isBetter = best === null || timeline > best.timeline || (timeline === best.timeline && host === known?.host)
    if (isBetter) best = { host, timeline }
  }
  return best
}

/** Why none will do, host by host: for the log and the operator, never for a tenant. */
export function describeHosts(states: readonly HostState[], known: Chosen | null): string {
  return states.map(({ host, answer }) => `${addressOf(host)} ${describe(answer, known)}`).join('; ')
}

function describe(answer: HostAnswer, known: Chosen | null): string {
  if (answer.kind === 'replica') return 'is a replica'
  if (answer.kind === 'silent') return `does not answer (${answer.error.message || String(answer.error)})`
  if (known !== null && answer.timeline < known.timeline) {
    return `is an old primary: its timeline is ${answer.timeline}, and ${known.timeline} was seen`
  }
  return answer.isReadOnly ? 'takes no writes' : 'is the primary'
}

/** What a server reports of itself when a session begins, and again when it changes (PostgreSQL 14 and later). */
export interface SessionParameters {
  readonly in_hot_standby?: string | undefined
  readonly default_transaction_read_only?: string | undefined
}

/** Whether a session just begun is not what was asked for. What a proxy keeps back says nothing. */
export function isWrongSession(reported: SessionParameters, target: SessionTarget): boolean {
  if (target === 'any') return false
  if (reported.in_hot_standby === 'on') return true
  return target === 'read-write' && reported.default_transaction_read_only === 'on'
}
