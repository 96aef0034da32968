import { quoteIdent, quoteLiteral } from '../quote.ts'
import type { RoomTable } from './catalogue.ts'
import type { MoverClient } from './mover-client.ts'
import type { Side } from './side.ts'

/** A tenant's rows of one table, taken piece by piece in the order of the primary key. */

/**
 * The key of the last of so many rows in the order of the primary key, or null where there are not so many. Columns as
 * text, which reads back exactly.
 */
export async function boundary(
  client: MoverClient,
  side: Side,
  table: RoomTable,
  bounds: readonly string[],
  limit: number,
): Promise<string[] | null> {
  if (table.key.length === 0) return null
  const key = table.key.map((c) => quoteIdent(c.name))
  const [row] = await client.query<{ key: string[] }>(
    `select array[${key.map((k) => `${k}::text`).join(', ')}] as key from ${side.table(table.name)}
     where ${bounds.join(' and ')} order by ${key.join(', ')} offset ${limit - 1} limit 1`,
  )
  return row?.key ?? null
}

export function after(table: RoomTable, key: readonly string[]): string {
  return compared(table, '>', key)
}

export function upTo(table: RoomTable, key: readonly string[]): string {
  return compared(table, '<=', key)
}

function compared(table: RoomTable, operator: string, key: readonly string[]): string {
  const names = table.key.map((c) => quoteIdent(c.name)).join(', ')
  const values = table.key.map((c, i) => `${quoteLiteral(key[i]!)}::${c.type}`).join(', ')
  return `(${names}) ${operator} (${values})`
}
