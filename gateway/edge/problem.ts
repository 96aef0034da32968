import { type ErrorCode, InnkeeperError } from '../../tiers/errors.ts'

/** The one place where an error code becomes an HTTP status. */
const PROBLEMS: Readonly<Record<ErrorCode, { readonly status: number; readonly title: string }>> = {
  invalid_request: { status: 400, title: 'Invalid request' },
  unauthenticated: { status: 401, title: 'Not authenticated' },
  forbidden: { status: 403, title: 'Forbidden' },
  tenant_mismatch: { status: 403, title: 'Identifiers name different tenants' },
  tenant_suspended: { status: 403, title: 'Tenant suspended' },
  residency_violation: { status: 403, title: 'Forbidden by residency' },
  tenant_not_found: { status: 404, title: 'Tenant not found' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  request_timeout: { status: 408, title: 'Request timed out' },
  conflict: { status: 409, title: 'Conflict' },
  tenant_gone: { status: 410, title: 'Tenant gone' },
  payload_too_large: { status: 413, title: 'Payload too large' },
  misdirected_region: { status: 421, title: 'Wrong region' },
  migration_refused: { status: 422, title: 'Migration refused' },
  rate_limited: { status: 429, title: 'Rate limit exceeded' },
  quota_exceeded: { status: 429, title: 'Quota exceeded' },
  client_closed_request: { status: 499, title: 'Client closed the request' },
  internal: { status: 500, title: 'Internal error' },
  no_tenant: { status: 500, title: 'Internal error' },
  tenant_switch: { status: 500, title: 'Internal error' },
  invalid_config: { status: 500, title: 'Internal error' },
  outcome_unknown: { status: 502, title: 'Outcome unknown' },
  cluster_unavailable: { status: 503, title: 'Cluster unavailable' },
  directory_unavailable: { status: 503, title: 'Directory unavailable' },
  region_unavailable: { status: 503, title: 'Region unavailable' },
  overloaded: { status: 503, title: 'Overloaded' },
  shutting_down: { status: 503, title: 'Shutting down' },
  tenant_moving: { status: 503, title: 'Tenant is being moved' },
  statement_timeout: { status: 504, title: 'Statement timed out' },
}

/** Faults of the platform's own: what they say is for its engineers, not for a client. */
const PRIVATE: ReadonlySet<ErrorCode> = new Set(['internal', 'no_tenant', 'tenant_switch', 'invalid_config'])

/** An RFC 9457 document that PostgREST's clients can read too: they look for `message`, `details`, `hint` and `code`. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly instance: string
  readonly code: string
  readonly message: string
  readonly details: string | null
  readonly hint: string | null
  readonly field?: string
  readonly region_url?: string
}

/** A tenant that lives in another region: carries where to go instead. */
export class MisdirectedRegionError extends InnkeeperError {
  readonly regionUrl: string
  constructor(message: string, regionUrl: string, hint: string) {
    super('misdirected_region', message, { hint, details: regionUrl })
    this.regionUrl = regionUrl
  }
}

export function statusOf(code: ErrorCode): number {
  return PROBLEMS[code].status
}

export function titleOf(code: ErrorCode): string {
  return PROBLEMS[code].title
}

/** A reference to be resolved against the answer's own address, where it is served: `error-pages.ts`. */
export function problemType(code: ErrorCode): string {
  return `/errors/${code}`
}

/** What is not an InnkeeperError is `internal`, with the error itself as its cause: for the log, never for the client. */
export function asInnkeeperError(error: unknown): InnkeeperError {
  if (error instanceof InnkeeperError) return error
  return new InnkeeperError('internal', 'An unexpected error', { cause: error })
}

/** @param requestId becomes the `instance`, so that a client's report finds the log line */
export function problemOf(error: InnkeeperError, requestId: string): Problem {
  const { status, title } = PROBLEMS[error.code]
  const open = !PRIVATE.has(error.code)
  const message = open ? error.message : 'Something went wrong on our side. It was logged with the request id.'
  return {
    type: problemType(error.code),
    title,
    status,
    detail: open && error.details !== undefined ? `${message}: ${error.details}` : message,
    instance: `urn:request:${requestId}`,
    code: error.code,
    message,
    details: (open && error.details) || null,
    hint: (open && error.hint) || null,
    ...(error.field === undefined ? {} : { field: error.field }),
    ...(error instanceof MisdirectedRegionError ? { region_url: error.regionUrl } : {}),
  }
}

/** The headers that belong to the problem itself. */
export function problemHeaders(error: InnkeeperError): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' }
  if (error.retryAfterMs !== undefined)
    headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)))
  // RFC 9110 asks for a challenge with every 401.
  if (error.code === 'unauthenticated') headers['www-authenticate'] = 'Bearer realm="innkeeper"'
  return headers
}

export function problemResponse(error: InnkeeperError, requestId: string): Response {
  const problem = problemOf(error, requestId)
  return new Response(JSON.stringify(problem), { status: problem.status, headers: problemHeaders(error) })
}
