import type { Context } from 'hono'
import { badBody } from '../errors.ts'
import { requirePrivilege } from '../resource.ts'
import type { RestRoom } from '../room.ts'
import { type InsertOptions, insertSql } from '../sql/insert.ts'
import { deleteSql, updateSql } from '../sql/update.ts'
import { payloadOf, writeRequest } from './request.ts'
import { nothingWritten, runWrite } from './run.ts'

/** POST: inserts, or upserts with `resolution=`. */
export async function insertRows(c: Context, room: RestRoom): Promise<Response> {
  const request = await writeRequest(c, room, 'insert')
  const { resolution } = request.wish.prefer
  if (resolution === 'merge-duplicates') requirePrivilege(request.table, 'update')
  const payload = await payloadOf(c, request)
  if (payload.groups.length === 0) return nothingWritten(c, request)
  const options: InsertOptions = { ...request.options, resolution, onConflict: request.query.onConflict, where: [] }
  // Rows that the client itself sent are no surprise: they come back however many they are.
  const scope = { ...request.scope, maxRows: Math.max(room.maxRows, payload.rows) }
  return runWrite(c, room, request, insertSql(scope, request.query.root, payload, options))
}

/** PATCH: updates what the filters match. */
export async function updateRows(c: Context, room: RestRoom): Promise<Response> {
  const request = await writeRequest(c, room, 'update')
  const payload = await payloadOf(c, request)
  if (payload.rows !== 1) throw badBody('The body of a PATCH must be one JSON object')
  const group = payload.groups[0]!
  if (group.columns.length === 0) return nothingWritten(c, request)
  return runWrite(c, room, request, updateSql(request.scope, request.query.root, group, request.options))
}

/** DELETE: deletes what the filters match. */
export async function deleteRows(c: Context, room: RestRoom): Promise<Response> {
  const request = await writeRequest(c, room, 'delete')
  return runWrite(c, room, request, deleteSql(request.scope, request.query.root, request.options))
}
