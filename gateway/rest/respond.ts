import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { badRange, notSingular, type RestError } from './errors.ts'
import type { Format } from './parse/accept.ts'
import { appliedPreferences, type Preferences } from './parse/prefer.ts'
import type { AnswerRow } from './sql/statement.ts'

/** What a request asked for, as far as the response depends on it. */
export interface Wish {
  readonly format: Format
  readonly prefer: Preferences
  /** The header line of a CSV body, null for JSON. */
  readonly csvHeader: string | null
}

/**
 * Answers a GET or HEAD: 200, or 206 when there is more than the page shows.
 *
 * @throws RestError PGRST116 when one object was asked for, PGRST103 when the page begins past the last row
 */
export function respondRead(c: Context, answer: AnswerRow, offset: number, wish: Wish): Response {
  const { page } = answer
  const total = answer.total === null ? null : Number(answer.total)
  if (wish.format.kind === 'object' && page !== 1) throw notSingular(page)
  // With rows on the page a smaller total is only the cap of a count.
  if (total !== null && offset > total && page === 0) {
    throw badRange(`An offset of ${offset} was requested, but there are only ${total} rows.`)
  }
  // A capped count says "at least": never fewer than the rows that were just seen.
  const shown = total === null ? null : Math.max(total, offset + page)
  const headers: Record<string, string> = {
    'content-type': wish.format.contentType,
    'content-range': contentRange(offset, page, shown),
    'range-unit': 'items',
  }
  addApplied(headers, wish.prefer, ['count', 'handling'])
  const status = shown !== null && page < shown ? 206 : 200
  return c.body(bodyOf(answer, wish), status, headers)
}

export interface WriteOutcome {
  readonly method: 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  /** The path of the row that was made, for `return=headers-only`. */
  readonly location: string | null
  readonly wish: Wish
}

/** Answers a write: 201 for a POST, otherwise 200 with a body and 204 without. */
export function respondWrite(c: Context, answer: AnswerRow, { method, location, wish }: WriteOutcome): Response {
  const total = Number(answer.total)
  const counted = wish.prefer.count === null ? null : total
  const headers: Record<string, string> = {
    'content-range': method === 'PATCH' ? contentRange(0, total, counted) : `*/${counted ?? '*'}`,
    'range-unit': 'items',
  }
  if (location !== null) headers.location = location
  addApplied(headers, wish.prefer, APPLIED_TO[method])
  const hasBody = wish.prefer.return === 'representation'
  if (!hasBody) return c.body(null, method === 'POST' ? 201 : 204, headers)
  headers['content-type'] = wish.format.contentType
  return c.body(bodyOf(answer, wish), method === 'POST' ? 201 : 200, headers)
}

const WRITE_PREFERENCES = ['return', 'count', 'handling'] as const
const APPLIED_TO: Record<WriteOutcome['method'], readonly (keyof Preferences)[]> = {
  POST: ['resolution', 'missing', ...WRITE_PREFERENCES],
  PUT: WRITE_PREFERENCES,
  PATCH: [...WRITE_PREFERENCES, 'maxAffected'],
  DELETE: [...WRITE_PREFERENCES, 'maxAffected'],
}

function addApplied(
  headers: Record<string, string>,
  prefer: Preferences,
  relevant: readonly (keyof Preferences)[],
): void {
  const applied = appliedPreferences(prefer, relevant)
  if (applied !== null) headers['preference-applied'] = applied
}

/** `0-9/25`; a star stands for an empty page, and for a total that nobody asked for. */
function contentRange(offset: number, rows: number, total: number | null): string {
  const range = rows === 0 ? '*' : `${offset}-${offset + rows - 1}`
  return `${range}/${total ?? '*'}`
}

function bodyOf({ body }: AnswerRow, { csvHeader }: Wish): string {
  if (csvHeader === null) return body ?? ''
  return body === null || body === '' ? csvHeader : `${csvHeader}\n${body}`
}

/** The dialect's error document. */
export function respondError(c: Context, error: RestError): Response {
  const { code, message, details, hint } = error
  const body = JSON.stringify({ code, details, hint, message })
  return c.body(body, error.status as ContentfulStatusCode, { 'content-type': 'application/json; charset=utf-8' })
}
