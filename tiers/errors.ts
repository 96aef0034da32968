/** Who has to act before the same request can succeed. It becomes a metric label, so it stays a short closed list. */
export type FaultOwner = 'client' | 'tenant' | 'routing' | 'capacity' | 'upstream' | 'platform'

/** Every failure Innkeeper itself can report, with its owner and whether the same request may succeed later unchanged. */
export const ERROR_CODES = {
  unauthenticated: { owner: 'client', retryable: false },
  forbidden: { owner: 'client', retryable: false },
  tenant_not_found: { owner: 'client', retryable: false },
  tenant_mismatch: { owner: 'client', retryable: false },
  invalid_request: { owner: 'client', retryable: false },
  not_found: { owner: 'client', retryable: false },
  method_not_allowed: { owner: 'client', retryable: false },
  conflict: { owner: 'client', retryable: false },
  payload_too_large: { owner: 'client', retryable: false },
  request_timeout: { owner: 'client', retryable: true },
  client_closed_request: { owner: 'client', retryable: true },
  tenant_suspended: { owner: 'tenant', retryable: false },
  tenant_gone: { owner: 'tenant', retryable: false },
  rate_limited: { owner: 'tenant', retryable: true },
  quota_exceeded: { owner: 'tenant', retryable: true },
  statement_timeout: { owner: 'tenant', retryable: false },
  residency_violation: { owner: 'tenant', retryable: false },
  misdirected_region: { owner: 'routing', retryable: false },
  tenant_moving: { owner: 'routing', retryable: true },
  overloaded: { owner: 'capacity', retryable: true },
  cluster_unavailable: { owner: 'upstream', retryable: true },
  region_unavailable: { owner: 'upstream', retryable: true },
  directory_unavailable: { owner: 'upstream', retryable: true },
  outcome_unknown: { owner: 'upstream', retryable: false },
  no_tenant: { owner: 'platform', retryable: false },
  tenant_switch: { owner: 'platform', retryable: false },
  invalid_config: { owner: 'platform', retryable: false },
  migration_refused: { owner: 'platform', retryable: false },
  shutting_down: { owner: 'platform', retryable: true },
  internal: { owner: 'platform', retryable: false },
} as const satisfies Record<string, { owner: FaultOwner; retryable: boolean }>

export type ErrorCode = keyof typeof ERROR_CODES

export interface ErrorOptions {
  /** A second sentence: the field, the value's place, what was found. Never holds data of a tenant. */
  details?: string
  /** What the reader should do now. */
  hint?: string
  /** After how long a retry makes sense, in milliseconds. */
  retryAfterMs?: number
  /** The request field at fault, for `invalid_request`. */
  field?: string
  cause?: unknown
}

/** A failure that Innkeeper reports by a stable code. HTTP status is not known here: the edge maps it, in one place. */
export class InnkeeperError extends Error {
  readonly code: ErrorCode
  readonly details: string | undefined
  readonly hint: string | undefined
  readonly field: string | undefined
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'InnkeeperError'
    this.code = code
    this.details = options.details
    this.hint = options.hint
    this.field = options.field
    this.retryAfterMs = options.retryAfterMs
  }

  get owner(): FaultOwner {
    return ERROR_CODES[this.code].owner
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable
  }
}

export function isInnkeeperError(error: unknown, code?: ErrorCode): error is InnkeeperError {
  return error instanceof InnkeeperError && (code === undefined || error.code === code)
}
