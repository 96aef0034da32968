import type postgres from 'postgres'
import type { Role } from '../operators/roles.ts'
import type { TenantId } from '../types.ts'

/** Who does something, and why. */
export interface By {
  readonly actor: string
  /** `program` where it is not an operator: a program that uses the control plane as a library, or the control plane itself. */
  readonly role: Role | 'program'
  readonly reason: string | null
  readonly requestId: string | null
}

export const BY_PROGRAM: By = Object.freeze({ actor: 'program', role: 'program', reason: null, requestId: null })

/** A name alone is a program's. */
export function byNamed(by: By | string | undefined): By {
  return typeof by === 'string' ? { ...BY_PROGRAM, actor: by } : (by ?? BY_PROGRAM)
}

export interface AuditEntry {
  /** What was done, such as `tenant.suspend`. */
  readonly action: string
  readonly by: By
  readonly tenant?: { readonly id: TenantId; readonly slug: string } | undefined
  readonly before?: unknown
  readonly after?: unknown
  /** What distinguishes it further: names and numbers, never a secret, and no data of a tenant's. */
  readonly details?: unknown
  /**
   * What is not in the control database cannot be changed in one transaction with its entry: then there is one before,
   * `begun`, and one after, `done` or `failed`. Left out for what was changed together with this entry.
   */
  readonly outcome?: 'begun' | 'done' | 'failed' | 'refused' | undefined
}

/** What a change of a store's is written down as, in the same transaction. */
export interface Note extends Pick<AuditEntry, 'action' | 'by' | 'details'> {}

/** The text that is hashed and kept. */
export function entryText({ action, by, tenant, before, after, details, outcome }: AuditEntry): string {
  const { actor, role, reason, requestId } = by
  const entry = {
    action,
    actor,
    role,
    reason,
    requestId,
    tenantId: tenant?.id ?? null,
    tenant: tenant?.slug ?? null,
    outcome: outcome ?? 'done',
    before: before ?? null,
    after: after ?? null,
    details: details ?? null,
  }
  // What a request said may stand here, also what PostgreSQL's JSON cannot hold.
  return JSON.stringify(entry, (_, value) =>
    typeof value === 'string' ? value.toWellFormed().replaceAll('\u0000', '\ufffd') : value,
  )
}

/** Writes an entry; the database gives it its number, time and hash. To be the last statement of its transaction. */
export async function append(sql: postgres.ISql, entry: AuditEntry): Promise<void> {
  // As text first: the client would write a text as a JSON string of it.
  await sql`insert into audit_log (entry) values (${entryText(entry)}::text::json)`
}
