import type { AdminSql } from '../pg/admin.ts'
import { quoteIdent } from '../quote.ts'

/** By the event, which rows it shows a statement-level trigger. A trigger for several events could be shown none. */
const EVENTS = {
  insert: 'referencing new table as new_rows',
  update: 'referencing old table as old_rows new table as new_rows',
  delete: 'referencing old table as old_rows',
} as const

interface KeyedTable {
  readonly name: string
  /** That notes its keys. */
  readonly fn: string
}

/**
 * Puts the triggers on every table of a room that note what changes while its tenant is moved. They are there at all
 * times and the same in every room: switching capture on is a flag in one row, and no lock on a table that others use.
 */
export async function captureChanges(tx: AdminSql, room: string, references: readonly string[]): Promise<void> {
  const tables = await tx<KeyedTable[]>`
    with keyed as materialized (
      select c.relname as name, array(
        select a.attname::text from unnest(i.indkey::int2[]) with ordinality as k(number, place)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
        where a.attname <> 'tenant_id' and k.place <= i.indnkeyatts order by k.place) as columns
      from pg_class c join pg_index i on i.indrelid = c.oid and i.indisprimary
      where c.relnamespace = ${room}::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and c.relname <> all (${[...references]})
    ), made as materialized (
      -- In one order for all rooms: of two that are made at the same time one waits for the other, and never both.
      select columns, tenancy.capture_function(columns) as fn
      from (select distinct columns from keyed order by columns offset 0) lists
    )
    select name, fn from keyed join made using (columns) order by 1`
  const statements = tables.flatMap(({ name, fn }) => {
    const table = `${quoteIdent(room)}.${quoteIdent(name)}`
    return Object.entries(EVENTS).map(
      ([event, rows]) => `
        create or replace trigger innkeeper_capture_${event} after ${event} on ${table} ${rows}
          for each statement execute function tenancy.${quoteIdent(fn)}();
        alter table ${table} enable always trigger innkeeper_capture_${event};`,
    )
  })
  // One round trip: a fleet has many rooms.
  if (statements.length > 0) await tx.unsafe(statements.join(''))
}
