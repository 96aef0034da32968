import { createHash } from 'node:crypto'
import { quoteIdent } from '../quote.ts'
import { MOVER, OWNER } from '../tenancy/roles.ts'
import type { RoomTable } from './catalogue.ts'
import type { MoverClient } from './mover-client.ts'
import type { Side } from './side.ts'

/**
 * COPY FROM is refused where row-level security stands for whoever copies, so rows for such a table land in a temporary table of the connection and go on from
 * there by INSERT ... SELECT, with the rights of the role that may write this tenant's rows and no others.
 */
const made = new WeakMap<MoverClient, Set<string>>()

/** The noted keys of a pass, of all tables. */
export const KEYS = 'pg_temp.innkeeper_keys'
/** The keys that were applied since the last whole verification. */
export const DIRTY = 'pg_temp.innkeeper_dirty'

/** Of any name in PostgreSQL. */
const NAME_BYTES_MAX = 63

export function stageOf(table: RoomTable): string {
  const name = `stage_${table.name}`
  if (Buffer.byteLength(name) <= NAME_BYTES_MAX) return `pg_temp.${quoteIdent(name)}`
  // Cut off it could be another table's as well.
  return `pg_temp.stage_${createHash('sha256').update(table.name).digest('hex').slice(0, 32)}`
}

/** Makes what is missing of a connection's temporary tables, outside the transactions that fill them. */
export async function ensureStaging(client: MoverClient, side: Side, tables: readonly RoomTable[]): Promise<void> {
  let known = made.get(client)
  if (known === undefined) {
    await client.script(`
      create temp table innkeeper_keys (table_name text not null, key jsonb not null) on commit delete rows;
      create temp table innkeeper_dirty (table_name text not null, key jsonb not null);
      grant select, insert on ${KEYS}, ${DIRTY} to ${MOVER}, ${OWNER}`)
    known = new Set()
    made.set(client, known)
  }
  for (const table of tables) {
    if (known.has(table.name)) continue
    await client.script(`
      create temp table ${stageOf(table).slice('pg_temp.'.length)} on commit delete rows as
        select ${copiedColumns(table)} from ${side.table(table.name)} with no data;
      grant select on ${stageOf(table)} to ${MOVER}`)
    known.add(table.name)
  }
}

/** What is copied: everything but what the server computes. */
export function copiedColumns(table: RoomTable, of = ''): string {
  return table.columns
    .filter((c) => !c.generated)
    .map((c) => `${of}${quoteIdent(c.name)}`)
    .join(', ')
}
