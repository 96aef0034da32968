import type { Context } from 'hono'
import type { Condition, Test } from '../ast.ts'
import { badBody, otherKey, RestError } from '../errors.ts'
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
  requireKey(request, payload)
  const { root } = request.query
  const options: InsertOptions = {
    ...request.options,
    resolution: 'merge-duplicates',
    onConflict: null,
    where: root.where,
  }
  return runWrite(c, room, request, insertSql(request.scope, root, payload, options))
}

/**
 * Whether the two are equal is the database's to say, which knows all the digits and what is the same of a type.
 *
 * @throws RestError PGRST105, PGRST114 or PGRST115 unless the filters name the primary key, and the payload has it
 */
function requireKey({ table, query, isPaged }: WriteRequest, payload: Payload): void {
  if (isPaged) throw new RestError(400, 'PGRST114', 'limit/offset querystring parameters are not allowed for PUT')
  const key = table.primaryKey?.columns ?? []
  const named = new Set<string>()
  for (const condition of query.root.where) {
    if (!isPlainEquality(condition) || !key.includes(condition.field.name)) throw wrongFilters()
    named.add(condition.field.name)
  }
  if (key.length === 0 || named.size !== key.length) throw wrongFilters()
  if (payload.rows !== 1) throw badBody('The body of a PUT must be one JSON object')
  const { columns } = payload.groups[0]!
  if (!key.every((column) => columns.includes(column))) throw otherKey()
}

function isPlainEquality(condition: Condition): condition is Test {
  if (condition.kind !== 'test' || condition.operator !== 'eq') return false
  return !condition.negated && condition.quantifier === null && condition.field.path.length === 0
}

function wrongFilters(): RestError {
  return new RestError(405, 'PGRST105', "Filters must include all and only primary key columns with 'eq' operators")
}
