import type { Context } from 'hono'
import type { Condition, Test } from '../ast.ts'
import { badBody, RestError } from '../errors.ts'
import type { Payload } from '../parse/body.ts'
import { requirePrivilege } from '../resource.ts'
import type { RestRoom } from '../room.ts'
import { type InsertOptions, insertSql } from '../sql/insert.ts'
import { payloadOf, type WriteRequest, writeRequest } from './request.ts'
import { runWrite } from './run.ts'

/** PUT: makes or replaces the single row whose primary key the filters name. */
export async function putRow(c: Context, room: RestRoom): Promise<Response> {
  const request = await writeRequest(c, room, 'insert')
  requirePrivilege(request.table, 'update')
  const payload = await payloadOf(c, request)
  requireSameKey(request, payload)
  const options: InsertOptions = { ...request.options, resolution: 'merge-duplicates', onConflict: null }
  return runWrite(c, room, request, insertSql(request.scope, { ...request.query.root, where: [] }, payload, options))
}

/** @throws RestError PGRST105, PGRST114 or PGRST115 unless the filters are exactly the payload's primary key */
function requireSameKey({ table, query, isPaged }: WriteRequest, payload: Payload): void {
  if (isPaged) throw new RestError(400, 'PGRST114', 'limit/offset querystring parameters are not allowed for PUT')
  const key = table.primaryKey?.columns ?? []
  const named = new Map<string, string>()
  for (const condition of query.root.where) {
    if (!isPlainEquality(condition) || !key.includes(condition.field.name)) throw wrongFilters()
    named.set(condition.field.name, condition.value as string)
  }
  if (key.length === 0 || named.size !== key.length) throw wrongFilters()
  if (payload.rows !== 1) throw badBody('The body of a PUT must be one JSON object')
  const row = (JSON.parse(payload.groups[0]!.json) as Record<string, unknown>[])[0]!
  if (key.some((column) => String(row[column]) !== named.get(column))) {
    throw new RestError(400, 'PGRST115', 'Payload values do not match URL in primary key column(s)')
  }
}

function isPlainEquality(condition: Condition): condition is Test {
  if (condition.kind !== 'test' || condition.operator !== 'eq') return false
  return !condition.negated && condition.quantifier === null && condition.field.path.length === 0
}

function wrongFilters(): RestError {
  return new RestError(405, 'PGRST105', "Filters must include all and only primary key columns with 'eq' operators")
}
