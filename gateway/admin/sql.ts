import { createHash } from 'node:crypto'
import { Hono } from 'hono'
import type { TenantRecord } from '../../tiers/control/tenant-store.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import { isDatabaseError } from '../../tiers/pg/batch.ts'
import { drizzleParsers, type ParserSet } from '../../tiers/pg/values.ts'
import { byOf, logChange } from './changes.ts'
import type { AdminDeps, AdminEnv } from './env.ts'
import { bodyOf } from './input.ts'
import { tenantNamed } from './named.ts'
import { statement } from './shapes.ts'

/**
 * `POST /admin/v1/tenants/{slug}/sql`, for `innkeeper shell`: one statement in the tenant's room, with the tenant's rights
 * and no more, through the same door as the tenant's own requests.
 */
export function sqlApi({ control, log, tenantSql }: AdminDeps) {
  const app = new Hono<AdminEnv>()

  app.post('/:slug/sql', async (c) => {
    const { sql, limit, reason } = await bodyOf(c, statement)
    if (tenantSql === undefined) {
      throw new InnkeeperError('not_found', 'This control plane runs no SQL for tenants')
    }
    const tenant = await tenantNamed(control, c)
    const by = byOf(c, reason)
    control.assertSession(tenant, by.reason)
    await control.audit.append({ action: 'tenant.sql', by, tenant, details: digestOf(sql), outcome: 'begun' })
    // Written before it runs, so that what brought a server down is there to read. Values in it may be the tenant's data.
    logChange(log, c, { action: 'tenant.sql', tenant, reason, details: statementDetails(tenant, sql) })
    try {
      // Rows as lists: two columns may have one name, and some names mean something else to an object.
      const wanted = { text: bounded(sql, limit + 1), params: [], rows: 'array', parsers: exactParsers } as const
      const { fields, rows, rowCount, command } = await tenantSql(tenant.id, wanted)
      const shown = rows.slice(0, limit)
      return c.json({
        command,
        columns: fields.map((f) => f.name),
        rowCount: Math.min(rowCount, shown.length || rowCount),
        rows: shown,
        truncated: rows.length > limit,
      })
    } catch (error) {
      throw isDatabaseError(error) ? statementFault(error) : error
    }
  })

  return app
}

/** Values as they are: what JSON cannot hold, or not whole, stays the text that PostgreSQL writes. */
const exactParsers: ParserSet = (oid, format) => {
  const parse = JSON_OIDS.has(oid) ? parseJson : drizzleParsers(oid, format)
  return (text) => {
    const value = parse(text)
    return isHeld(value) ? value : text
  }
}

const JSON_OIDS: ReadonlySet<number> = new Set([114, 3802])

/** A number with more digits than a JavaScript number keeps becomes NaN. */
function parseJson(text: string): unknown {
  return JSON.parse(text, (_, value, { source }: { source?: string } = {}) => {
    if (typeof value !== 'number' || source === String(value)) return value
    return source!.replace(/e.*/i, '').replace(/^[-0.]+|\./g, '').length <= 15 ? value : Number.NaN
  })
}

function isHeld(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (value === null || typeof value !== 'object') return true
  return !Buffer.isBuffer(value) && Object.values(value).every(isHeld)
}

/** Of a tenant that is kept to regions no value stands in a log, which may be read anywhere: a digest can be compared. */
function statementDetails({ profile, pinned }: TenantRecord, sql: string) {
  if (!profile && !pinned) return { sql: sql.slice(0, 2_000) }
  return digestOf(sql)
}

/** The audit log is global and kept for ever: of a statement it says only what shows which one it was. */
const digestOf = (sql: string) => ({ sql_sha256: createHash('sha256').update(sql).digest('hex') })

/**
 * Keeps a look at a big table from filling this process's memory. A statement that begins with WITH may change data,
 * which no subquery may, so it runs as it is. The new line ends a comment.
 */
function bounded(sql: string, rowsMax: number): string {
  const text = sql.trim().replace(/;+\s*$/, '')
  if (!/^(?:select|values|table)\b/i.test(text) || /\bfor\s+(?:no\s+key\s+)?(?:update|share|key)\b/i.test(text))
    return text
  return `select * from (${text}\n) _ limit ${rowsMax}`
}

/** What PostgreSQL says of a statement is for whoever wrote it. */
function statementFault(
  error: Error & { code?: string | undefined; detail?: string | undefined; hint?: string | undefined },
) {
  const code = error.code === '42501' ? 'forbidden' : 'invalid_request'
  return new InnkeeperError(code, error.message, {
    details: [`SQLSTATE ${error.code}`, error.detail].filter(Boolean).join('; '),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    field: 'sql',
    cause: error,
  })
}
