import type { ErrorCode } from '../../tiers/errors.ts'

/** What the process's exit code says; scripts rely on it. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  unavailable: 5,
  unauthenticated: 6,
  /** Done, and something is left that only a person can decide about. */
  unclear: 7,
  interrupted: 130,
} as const

export const EXIT_CODES_HELP = `
Exit codes:
  0    done
  1    failed; for doctor: a check failed, for migrate: a room failed
  2    the command line or a value in it is wrong
  3    there is no such tenant, key, domain or file
  4    refused: it conflicts with what is there, or is not allowed
  5    the control plane or a database cannot be reached; try again
  6    the admin token is missing or wrong
  7    done, but what is named has to be looked at; for control new-incarnation
  130  interrupted`

const CODES: Partial<Record<ErrorCode, number>> = {
  invalid_request: EXIT.usage,
  payload_too_large: EXIT.usage,
  tenant_not_found: EXIT.notFound,
  not_found: EXIT.notFound,
  tenant_gone: EXIT.notFound,
  conflict: EXIT.refused,
  forbidden: EXIT.refused,
  tenant_suspended: EXIT.refused,
  migration_refused: EXIT.refused,
  residency_violation: EXIT.refused,
  misdirected_region: EXIT.refused,
  unauthenticated: EXIT.unauthenticated,
  overloaded: EXIT.unavailable,
  cluster_unavailable: EXIT.unavailable,
  directory_unavailable: EXIT.unavailable,
  tenant_moving: EXIT.unavailable,
  shutting_down: EXIT.unavailable,
  statement_timeout: EXIT.unavailable,
  request_timeout: EXIT.unavailable,
}

export function exitCodeOf(code: string): number {
  return CODES[code as ErrorCode] ?? EXIT.failed
}
