import type { Logger } from 'pino'
import type { By } from '../../tiers/audit/entry.ts'
import type { TenantRecord } from '../../tiers/control/tenant-store.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import { tenantAttributes } from '../../tiers/telemetry.ts'
import type { AdminContext } from './env.ts'

export interface Change {
  /** What was done, such as `tenant.suspend`. */
  readonly action: string
  readonly tenant?: TenantRecord
  /** Why, where the body says so; else the header X-Reason. */
  readonly reason?: string | undefined
  /** What distinguishes it further: names and numbers, never a secret. */
  readonly details?: Readonly<Record<string, unknown>>
}

/** Writes who changed what, and why, as one structured log line; the audit log has it from whoever made the change. */
export function logChange(log: Logger, c: AdminContext, { action, tenant, reason, details }: Change): void {
  log.info(
    {
      event: 'admin.change',
      actor: c.get('actor'),
      action,
      reason: reason ?? reasonOf(c),
      request_id: c.get('requestId'),
      ...(tenant === undefined ? {} : tenantAttributes(tenant)),
      ...(details === undefined ? {} : { details }),
    },
    action,
  )
}

/** Who is asking and why, for the audit log. */
export function byOf(c: AdminContext, reason?: string): By {
  return {
    actor: c.get('actor'),
    role: c.get('role'),
    reason: reason ?? reasonOf(c),
    requestId: c.get('requestId') ?? null,
  }
}

const REASON_MAX = 500

/** The header's text. It is percent-encoded where it holds more than a header can. */
function reasonOf(c: AdminContext): string | null {
  const given = c.req.header('x-reason')?.trim()
  if (!given) return null
  let text: string
  try {
    text = decodeURIComponent(given)
  } catch {
    // A plain sentence with a percent sign in it is what it says.
    text = given
  }
  if (text.length <= REASON_MAX) return text
  throw new InnkeeperError('invalid_request', `The reason is longer than ${REASON_MAX} characters`, {
    field: 'X-Reason',
  })
}
