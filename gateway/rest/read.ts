import type { Context } from 'hono'
import { parseAccept } from './parse/accept.ts'
import { parsePrefer } from './parse/prefer.ts'
import { parseRange } from './parse/range.ts'
import { resourceOf } from './resource.ts'
import { respondRead } from './respond.ts'
import type { RestRoom } from './room.ts'
import { newParams } from './sql/params.ts'
import { readSql } from './sql/read.ts'
import { scopeOf } from './sql/scope.ts'
import { answerOf } from './sql/statement.ts'

/** GET and HEAD of a table: read the request, write its one statement, run it, pass the text on. */
export async function readTable(c: Context, room: RestRoom): Promise<Response> {
  const { catalogue, table, query, isPaged } = await resourceOf(c, room)
  const format = parseAccept(c.req.header('accept'))
  const prefer = parsePrefer(c.req.header('prefer'))
  const { root } = query
  if (!isPaged) Object.assign(root, parseRange(c.req.header('range'), c.req.header('range-unit')))
  const scope = scopeOf({ catalogue, params: newParams(), maxRows: room.maxRows }, table)
  const withBody = c.req.method !== 'HEAD'
  const statement = readSql(scope, root, { format, count: prefer.count, withBody })
  const result = await room.run(statement.query, { readOnly: true })
  const wish = { format, prefer, csvHeader: statement.csvHeader }
  return respondRead(c, answerOf(result), root.offset, wish)
}
