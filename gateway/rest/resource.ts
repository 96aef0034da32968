import type { Context } from 'hono'
import type { Catalogue, Table } from './catalogue/types.ts'
import { RestError, unknownColumn, unknownTable } from './errors.ts'
import { parseQuery, type RestQuery } from './parse/query.ts'
import type { RestRoom } from './room.ts'
import { splitUrl } from './url.ts'

export interface Resource {
  readonly catalogue: Catalogue
  readonly table: Table
  readonly query: RestQuery
  /** `limit` or `offset` stands in the query string, and not in a header. */
  readonly isPaged: boolean
}

/**
 * Finds the table that a path names, and reads the query string.
 *
 * @throws RestError PGRST205 for an unknown table, and what {@link parseQuery} throws
 */
export async function resourceOf(c: Context, room: RestRoom): Promise<Resource> {
  const name = c.req.param('table')!
  const catalogue = await room.catalogue()
  const table = catalogue.tables.get(name)
  if (table === undefined) throw unknownTable(name, catalogue.tables.keys())
  const params = new URLSearchParams(splitUrl(c.req.url).query)
  const query = parseQuery(params, (column) => {
    if (!table.columns.has(column)) throw unknownColumn(table.name, column, table.columns.keys())
  })
  return { catalogue, table, query, isPaged: params.has('limit') || params.has('offset') }
}

/** @throws RestError 42501 when the table is read-only to this tenant */
export function requirePrivilege(table: Table, privilege: keyof Table['privileges']): void {
  if (!table.privileges[privilege])
    throw new RestError(403, '42501', `permission denied for ${table.kind} ${table.name}`)
}
