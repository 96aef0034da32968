import { quoteIdent, quoteLiteral } from '../quote.ts'
import { MOVER, OWNER } from '../tenancy/roles.ts'
import type { RoomTable } from './catalogue.ts'
import type { MoverClient } from './mover-client.ts'
import { AS_MOVER, beginBooks, type Side } from './side.ts'
import { copiedColumns, KEYS, stageOf } from './staging.ts'

/**
 * The way into the pool for a mover that may silence nothing. Rows cannot come there chunk by chunk, because foreign keys
 * would look for rows that are still on their way: they are copied into bare tables beside the pool, in a schema that only
 * the rooms' owner gets at, and come in all at once, with the first pass, when they equal a snapshot of the source.
 */
export function waitingRoom(side: Side): string {
  return quoteIdent(`move_${side.move.replaceAll('-', '')}`)
}

export function waitingTable(side: Side, table: RoomTable): string {
  return `${waitingRoom(side)}.${quoteIdent(table.name)}`
}

/** Whether rows go into the pool with the tenant's foreign keys and triggers in force. */
export async function isConsiderate(target: Side): Promise<boolean> {
  return target.placement.isolation === 'shared' && !(await target.maySilence())
}

/** Idempotent. */
export async function makeWaitingRoom(target: Side, tables: readonly RoomTable[]): Promise<void> {
  const client = await target.client()
  const made = tables.map(
    (t) => `create table if not exists ${waitingTable(target, t)} as
      select ${copiedColumns(t)} from ${target.table(t.name)} with no data;
      grant select on ${waitingTable(target, t)} to ${MOVER};`,
  )
  await client.transaction(beginBooks(target), () =>
    client.script(`set local role ${OWNER}; create schema if not exists ${waitingRoom(target)};
      grant usage on schema ${waitingRoom(target)} to ${MOVER}; ${made.join('\n')} reset role`),
  )
}

export async function hasWaitingRoom(client: MoverClient, side: Side): Promise<boolean> {
  if (side.placement.isolation !== 'shared') return false
  const [row] = await client.query<{ there: boolean }>('select to_regnamespace($1) is not null as there', [
    waitingRoom(side),
  ])
  return row!.there
}

/**
 * Brings all rows in, in the transaction of the first pass: those that were noted meanwhile are taken from what the pass has
 * read. The foreign keys are looked at when it commits.
 */
export async function pour(
  to: MoverClient,
  target: Side,
  tables: readonly RoomTable[],
  touched: readonly RoomTable[],
): Promise<void> {
  const stale = touched.map((t) => {
    const same = t.key
      .map((c) => `and d.${quoteIdent(c.name)} = (k.key ->> ${quoteLiteral(c.name)})::${c.type}`)
      .join(' ')
    return `delete from ${waitingTable(target, t)} d using ${KEYS} k where k.table_name = ${quoteLiteral(t.name)} ${same};`
  })
  const fresh = [
    ...tables.map((t) => [t, waitingTable(target, t)] as const),
    ...touched.map((t) => [t, stageOf(t)] as const),
  ].map(
    ([t, from]) => `insert into ${target.table(t.name)} (${copiedColumns(t)}) overriding system value
      select ${copiedColumns(t)} from ${from};`,
  )
  await to.script(`set constraints all deferred;
    set local role ${OWNER}; set local enable_hashjoin = on; set local enable_seqscan = on; ${stale.join('\n')}
    ${AS_MOVER}; ${fresh.join('\n')}
    set local role ${OWNER}; drop schema ${waitingRoom(target)} cascade; reset role`)
}
