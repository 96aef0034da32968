import type { Context } from 'hono'
import type { QueryResult } from '../../../tiers/types.ts'
import type { Table } from '../catalogue/types.ts'
import { notSingular, otherKey, RestError } from '../errors.ts'
import { respondWrite } from '../respond.ts'
import type { RestRoom } from '../room.ts'
import { type AnswerRow, answerOf, type Statement } from '../sql/statement.ts'
import { splitUrl } from '../url.ts'
import type { WriteRequest } from './request.ts'

type Check = (result: QueryResult) => void

/**
 * Runs a write and answers the request. Only where the number of rows decides whether it stands is it checked before the
 * commit, which costs a round trip.
 */
export async function runWrite(
  c: Context,
  room: RestRoom,
  request: WriteRequest,
  { query, csvHeader }: Statement,
): Promise<Response> {
  const check = checkOf(c.req.method, request)
  const result = await room.run(query, check === null ? { readOnly: false } : { readOnly: false, check })
  const answer = answerOf(result)
  if (c.req.method === 'PUT') requireOwnRow(answer)
  return respond(c, request, answer, csvHeader)
}

/**
 * Answers a write that has nothing to write.
 *
 * @throws RestError PGRST116 when one object was asked for
 */
export function nothingWritten(c: Context, request: WriteRequest): Response {
  if (isSingular(request)) throw notSingular(0)
  const body = request.wish.format.kind === 'csv' ? '' : '[]'
  return respond(c, request, { body, page: 0, total: '0' }, null)
}

function isSingular({ wish }: WriteRequest): boolean {
  return wish.format.kind === 'object' && wish.prefer.return === 'representation'
}

/** The row of a PUT is written where its filters hold for it. */
function requireOwnRow({ total }: AnswerRow): void {
  if (total === '0') throw otherKey()
}

function checkOf(method: string, request: WriteRequest): Check | null {
  const { prefer } = request.wish
  const most = prefer.handling === 'strict' && method !== 'POST' ? prefer.maxAffected : null
  const singular = isSingular(request)
  if (!singular && most === null) return null
  return function checkRows(result) {
    const answer = answerOf(result)
    if (method === 'PUT') requireOwnRow(answer)
    const { page, total } = answer
    const written = Number(total)
    if (most !== null && written > most) {
      const message = 'Query result exceeds max-affected preference constraint'
      throw new RestError(400, 'PGRST124', message, `The query affects ${written} rows`)
    }
    // A limit narrows what is shown to one row, but must not hide that a change hit more.
    if (singular && page !== 1) throw notSingular(page)
    if (singular && method !== 'POST' && written !== 1) throw notSingular(written)
  }
}

function respond(c: Context, { wish, table }: WriteRequest, answer: AnswerRow, csvHeader: string | null): Response {
  const method = c.req.method as 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  const location = locationOf(c.req.url, table, answer)
  return respondWrite(c, answer, { method, location, wish: { ...wish, csvHeader } })
}

/** Where the row that was made can be read, when it was one and this was asked for. */
function locationOf(url: string, table: Table, { location, total }: AnswerRow): string | null {
  if (location == null || total !== '1') return null
  const key = table.primaryKey?.columns ?? []
  const values = JSON.parse(location) as string[]
  const filters = key.map((column, at) => `${encodeURIComponent(column)}=eq.${encodeURIComponent(values[at]!)}`)
  return `${splitUrl(url).path}?${filters.join('&')}`
}
