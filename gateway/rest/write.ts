import type { Context } from 'hono'
import type { Table } from './catalogue/types.ts'
import { badBody, notSingular, parseError, RestError } from './errors.ts'
import { parseAccept } from './parse/accept.ts'
import { type Payload, parseBody } from './parse/body.ts'
import { parsePrefer } from './parse/prefer.ts'
import { type Resource, requirePrivilege, resourceOf } from './resource.ts'
import { respondWrite, type Wish } from './respond.ts'
import type { RestRoom } from './room.ts'
import { type InsertOptions, insertSql } from './sql/insert.ts'
import { newParams } from './sql/params.ts'
import { type Scope, scopeOf } from './sql/scope.ts'
import type { AnswerRow, Statement } from './sql/statement.ts'
import { deleteSql, updateSql } from './sql/update.ts'
import type { WriteOptions } from './sql/write.ts'

interface WriteRequest extends Resource {
  readonly wish: Omit<Wish, 'csvHeader'>
  readonly scope: Scope
  readonly options: WriteOptions
}

/** POST: inserts, or upserts with `resolution=`. */
export async function insertRows(c: Context, room: RestRoom): Promise<Response> {
  const request = await writeRequest(c, room, 'insert')
  const { prefer } = request.wish
  const payload = await payloadOf(c, request)
  const { resolution } = prefer
  if (resolution === 'merge-duplicates') requirePrivilege(request.table, 'update')
  const options: InsertOptions = { ...request.options, resolution, onConflict: request.query.onConflict }
  // Rows that the client itself sent are no surprise: they come back however many they are.
  const scope = { ...request.scope, maxRows: Math.max(room.maxRows, payload.rows) }
  if (payload.groups.length === 0) return respond(c, 'POST', request, NOTHING_WRITTEN, null)
  const statement = insertSql(scope, request.query.root, payload, options)
  const answer = await run(c, room, request, statement)
  return respond(c, 'POST', request, answer, statement.csvHeader)
}

/** PATCH: updates what the filters match. */
export async function updateRows(c: Context, room: RestRoom): Promise<Response> {
  const request = await writeRequest(c, room, 'update')
  const payload = await payloadOf(c, request)
  if (payload.rows !== 1) throw badBody('The body of a PATCH must be one JSON object')
  const group = payload.groups[0]!
  if (group.columns.length === 0) return respond(c, 'PATCH', request, NOTHING_WRITTEN, null)
  const statement = updateSql(request.scope, request.query.root, group, request.options)
  return respond(c, 'PATCH', request, await run(c, room, request, statement), statement.csvHeader)
}

/** DELETE: deletes what the filters match. */
export async function deleteRows(c: Context, room: RestRoom): Promise<Response> {
  const request = await writeRequest(c, room, 'delete')
  const statement = deleteSql(request.scope, request.query.root, request.options)
  return respond(c, 'DELETE', request, await run(c, room, request, statement), statement.csvHeader)
}

/** PUT: upserts the single row whose primary key the filters name. */
export async function putRow(c: Context, room: RestRoom): Promise<Response> {
  const request = await writeRequest(c, room, 'insert')
  requirePrivilege(request.table, 'update')
  const payload = await payloadOf(c, request)
  requireSameKey(request, payload)
  const options: InsertOptions = { ...request.options, resolution: 'merge-duplicates', onConflict: null }
  const statement = insertSql(request.scope, { ...request.query.root, where: [] }, payload, options)
  return respond(c, 'PUT', request, await run(c, room, request, statement), statement.csvHeader)
}

async function writeRequest(
  c: Context,
  room: RestRoom,
  privilege: 'insert' | 'update' | 'delete',
): Promise<WriteRequest> {
  const resource = await resourceOf(c, room)
  const { catalogue, table } = resource
  requirePrivilege(table, privilege)
  const format = parseAccept(c.req.header('accept'))
  const prefer = parsePrefer(c.req.header('prefer'))
  const wanted = RETURNS[prefer.return ?? 'minimal']
  // Only a new row has a place that its maker does not know yet.
  const returns = wanted === 'key' && c.req.method !== 'POST' ? 'nothing' : wanted
  // Limits page through the rows shown; taken for a limit on what is written they would be a trap.
  if (resource.isPaged && returns !== 'representation') {
    throw parseError('limit and offset do not limit what is written', 'Name the rows by filters instead')
  }
  const scope = scopeOf({ catalogue, params: newParams(), maxRows: room.maxRows }, table)
  return { ...resource, wish: { format, prefer }, scope, options: { format, returns } }
}

const RETURNS = { representation: 'representation', 'headers-only': 'key', minimal: 'nothing' } as const

async function payloadOf(c: Context, { query, wish }: WriteRequest): Promise<Payload> {
  const defaults = wish.prefer.missing === 'default'
  const contentType = c.req.header('content-type')
  return parseBody(await c.req.text(), { contentType, columns: query.columns, defaults })
}

const NOTHING_WRITTEN: AnswerRow = Object.freeze({ body: '[]', page: 0, total: '0' })

/** Runs a write; where the number of rows decides whether it stands, it is checked before the commit. */
async function run(c: Context, room: RestRoom, { wish }: WriteRequest, { query }: Statement): Promise<AnswerRow> {
  const { format, prefer } = wish
  const isSingular = format.kind === 'object' && prefer.return === 'representation'
  const most = prefer.handling === 'strict' && c.req.method !== 'POST' ? prefer.maxAffected : null
  const signal = c.req.raw.signal
  if (!isSingular && most === null) {
    const { rows } = await room.run(query, { readOnly: false, signal })
    return rows[0] as unknown as AnswerRow
  }
  const check = (result: { rows: Record<string, unknown>[] }): void => {
    const { page, total } = result.rows[0] as unknown as AnswerRow
    if (most !== null && Number(total) > most) {
      const message = 'Query result exceeds max-affected preference constraint'
      throw new RestError(400, 'PGRST124', message, `The query affects ${total} rows`)
    }
    if (isSingular && page !== 1) throw notSingular(page)
  }
  const { rows } = await room.run(query, { readOnly: false, signal, check })
  return rows[0] as unknown as AnswerRow
}

function respond(
  c: Context,
  method: 'POST' | 'PATCH' | 'PUT' | 'DELETE',
  { wish, table }: WriteRequest,
  answer: AnswerRow,
  csvHeader: string | null,
): Response {
  if (wish.format.kind === 'object' && wish.prefer.return === 'representation' && answer.body === '[]')
    throw notSingular(0)
  const location = method === 'POST' ? locationOf(c.req.path, table, answer) : null
  return respondWrite(c, answer, {
    method,
    location,
    wish: { ...wish, csvHeader },
  })
}

/** Where the row that was made can be read, when it was one. */
function locationOf(path: string, table: Table, { location, total }: AnswerRow): string | null {
  if (location == null || total !== '1') return null
  const key = table.primaryKey?.columns ?? []
  const values = JSON.parse(location) as string[]
  const filters = key.map((column, at) => `${encodeURIComponent(column)}=eq.${encodeURIComponent(values[at]!)}`)
  // The path may come decoded; a header takes no letters beyond Latin.
  const base = encodeURI(path.slice(0, path.lastIndexOf('/')))
  return `${base}/${encodeURIComponent(table.name)}?${filters.join('&')}`
}

/** @throws RestError PGRST105, PGRST114 or PGRST115 unless the filters are exactly the payload's primary key */
function requireSameKey({ table, query, isPaged }: WriteRequest, payload: Payload): void {
  if (isPaged) throw new RestError(400, 'PGRST114', 'limit/offset querystring parameters are not allowed for PUT')
  const key = table.primaryKey?.columns ?? []
  const named = new Map<string, string>()
  for (const condition of query.root.where) {
    const isKey =
      condition.kind === 'test' &&
      condition.operator === 'eq' &&
      !condition.negated &&
      condition.quantifier === null &&
      condition.field.path.length === 0 &&
      key.includes(condition.field.name)
    if (!isKey) throw wrongPut()
    named.set(condition.field.name, condition.value as string)
  }
  if (key.length === 0 || named.size !== key.length) throw wrongPut()
  if (payload.rows !== 1) throw badBody('The body of a PUT must be one JSON object')
  const row = (JSON.parse(payload.groups[0]!.json) as Record<string, unknown>[])[0]!
  if (key.some((column) => String(row[column]) !== named.get(column))) {
    throw new RestError(400, 'PGRST115', 'Payload values do not match URL in primary key column(s)')
  }
}

function wrongPut(): RestError {
  return new RestError(405, 'PGRST105', "Filters must include all and only primary key columns with 'eq' operators")
}
