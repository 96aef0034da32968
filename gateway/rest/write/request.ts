import type { Context } from 'hono'
import { badBody, parseError } from '../errors.ts'
import { parseAccept } from '../parse/accept.ts'
import { type Payload, parseBody } from '../parse/body.ts'
import { parsePrefer } from '../parse/prefer.ts'
import { type Resource, requirePrivilege, resourceOf } from '../resource.ts'
import type { Wish } from '../respond.ts'
import type { RestRoom } from '../room.ts'
import { newParams } from '../sql/params.ts'
import { type Scope, scopeOf } from '../sql/scope.ts'
import type { WriteOptions } from '../sql/write.ts'

/** Everything that a write is asked for, but its body. */
export interface WriteRequest extends Resource {
  readonly wish: Omit<Wish, 'csvHeader'>
  readonly scope: Scope
  readonly options: WriteOptions
}

const RETURNS = { representation: 'representation', 'headers-only': 'key', minimal: 'nothing' } as const

/**
 * Reads the path, the query string and the headers of a write.
 *
 * @throws RestError 42501 when the role lacks the privilege; PGRST100 for a limit that would not limit the write
 */
export async function writeRequest(
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

/** Reads the body, as {@link parseBody} does. */
export async function payloadOf(c: Context, { query, wish }: WriteRequest): Promise<Payload> {
  const defaults = wish.prefer.missing === 'default'
  const contentType = c.req.header('content-type')
  return parseBody(textOf(await c.req.arrayBuffer()), { contentType, columns: query.columns, defaults })
}

/** Bytes that are no UTF-8 would be stored as something else than what was sent. */
function textOf(bytes: ArrayBuffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw badBody('The body is not valid UTF-8')
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
