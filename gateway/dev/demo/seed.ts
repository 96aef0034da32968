import { quoteIdent } from '../../../tiers/quote.ts'
import type { RoomMaker } from '../../../tiers/rooms/maker.ts'
import type { Tenants } from '../../../tiers/tenants.ts'
import { type Placement, ROOM_IDENTIFIER } from '../../../tiers/types.ts'
import { demoRows } from './rows.ts'

const ROWS = 5_000

/**
 * Fills a tenant's room with the demo's data, through the one interface and in one transaction: all of it or none, so a
 * killed start leaves nothing half done. A room that has customers is left as it is.
 *
 * @returns how many rows were written
 */
export async function seedTenant(tenants: Tenants<Record<string, unknown>>, slug: string): Promise<number> {
  return tenants.session(slug).transaction(async (tx) => {
    const found = await tx.execute({ text: `select from ${ROOM_IDENTIFIER}."customers" limit 1`, params: [] })
    if (found.rowCount > 0) return 0
    let written = 0
    for (const { table, columns, rows } of demoRows(slug, ROWS)) {
      const target = `${ROOM_IDENTIFIER}.${quoteIdent(table)}`
      const names = columns.map(quoteIdent).join(', ')
      const records = rows.map((row) => Object.fromEntries(columns.map((c, i) => [c, row[i]])))
      const result = await tx.execute({
        text: `insert into ${target} (${names}) select ${names} from json_populate_recordset(null::${target}, $1)`,
        params: [JSON.stringify(records)],
      })
      written += result.rowCount
    }
    return written
  })
}

/** Rows came with their ids; the next one that is inserted must not take one of them again. */
export async function advanceSequences(maker: RoomMaker, { database, schema }: Placement): Promise<void> {
  const sql = maker.admin(database)
  const identities = await sql<{ table: string; column: string; sequence: string }[]>`
    select c.relname as table, a.attname as column,
      pg_get_serial_sequence(quote_ident(${schema}) || '.' || quote_ident(c.relname), a.attname) as sequence
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attidentity <> ''
    where c.relnamespace = ${schema}::regnamespace and c.relkind = 'r'`
  for (const { table, column, sequence } of identities) {
    const name = `${quoteIdent(schema)}.${quoteIdent(table)}`
    await sql.unsafe(
      `select setval($1::regclass, greatest((select last_value from ${sequence}), (select coalesce(max(${quoteIdent(column)}), 1) from ${name})))`,
      [sequence],
    )
  }
}
