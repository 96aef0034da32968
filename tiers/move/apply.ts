import { quoteIdent, quoteLiteral } from '../quote.ts'
import type { RoomTable } from './catalogue.ts'
import { merge } from './merge.ts'
import type { MoverClient } from './mover-client.ts'
import { type Pacer, UNPACED } from './pacer.ts'
import { hasWaitingRoom, isConsiderate, pour } from './pool.ts'
import { AS_MOVER, beginRead, beginWrite, type Side } from './side.ts'
import { copiedColumns, DIRTY, ensureStaging, KEYS, stageOf } from './staging.ts'

export interface Pass {
  /** Notes that were read and are gone now. */
  readonly notes: number
  /** The names of those that had any. */
  readonly tables: readonly string[]
  readonly rows: number
  readonly tookMs: number
}

/** What may be done while the pass's snapshot is still open: both sides are the same then, to the last row. */
export type AtSnapshot = () => Promise<void>

/** They take some hundredths of a second. */
const NOTES_AT_ONCE = 500
const REMEMBER_DIRTY = `insert into ${DIRTY} select table_name, key from ${KEYS}`

/**
 * One pass: reads the notes and the current rows that they name in one snapshot at the source, and applies them in one
 * transaction at the target: all noted keys are removed, and what is there now is put in. Afterwards the target equals that
 * snapshot, so unique keys that were swapped fit, and so do foreign keys.
 *
 * It commits at the target first, and then that the source forgets exactly the notes which its snapshot shows: a pass that
 * was killed in between is only done again.
 *
 * @param pacer a pass with many notes is many pieces of work, between which the neighbours have their turn; another is one
 */
export async function applyPass(
  source: Side,
  target: Side,
  tables: readonly RoomTable[],
  atSnapshot?: AtSnapshot,
  pacer: Pacer = UNPACED,
): Promise<Pass> {
  const started = performance.now()
  const [from, to] = await Promise.all([source.client(), target.client()])
  await ensureStaging(to, target, tables)
  // A crash may undo what is forgotten here: the notes are there again then, and their rows brought over once more.
  return from.transaction(`${beginRead(source)}; set local synchronous_commit = off`, async () => {
    const noted = await from.query<{ table_name: string; notes: number }>(
      `select table_name, count(*)::float8 as notes from tenancy.notes where tenant_id = $1 group by 1`,
      [source.tenant],
    )
    const touched = tables.filter((t) => noted.some((n) => n.table_name === t.name))
    const notes = noted.reduce((sum, n) => sum + n.notes, 0)
    const forget = () => notes > 0 && from.query('delete from tenancy.notes where tenant_id = $1', [source.tenant])
    const considerate = await isConsiderate(target)
    const waiting = considerate && (await hasWaitingRoom(to, target))
    let rows = 0
    // Who is in a hurry, as under the fence, is not to pay for pieces with round trips.
    const pieces = notes > NOTES_AT_ONCE && pacer !== UNPACED ? pacer : null
    const apply = () =>
      to.transaction(beginWrite(target), async () => {
        rows = await bringNoted(source, target, touched, pieces)
        const put = async () => {
          if (!considerate) return putIn(to, target, touched, pieces)
          if (waiting) await pour(to, target, tables, touched)
          else
            await merge(to, target, tables, touched, async (t, keys) => {
              await bring(from, source, to, t, keys)
            })
          // Not before: merging finds more keys, of rows that the pool's foreign keys have changed.
          await to.script(REMEMBER_DIRTY)
        }
        await Promise.all([put(), forget()])
      })
    if (touched.length === 0 && !waiting) await forget()
    else await (pieces === null ? pacer.paced(apply) : apply())
    await atSnapshot?.()
    return { notes, tables: noted.map((n) => n.table_name), rows, tookMs: performance.now() - started }
  })
}

/** The keys, and the rows that they name in the source's snapshot, into the temporary tables of the target's connection. */
async function bringNoted(
  source: Side,
  target: Side,
  touched: readonly RoomTable[],
  pieces: Pacer | null,
): Promise<number> {
  const [from, to] = await Promise.all([source.client(), target.client()])
  let rows = 0
  const bringKeys = () =>
    from.copyTo(
      `copy (select distinct table_name, key from tenancy.notes where tenant_id = '${source.tenant}') to stdout`,
      to,
      `copy ${KEYS} (table_name, key) from stdin`,
    )
  if (pieces === null) {
    await bringKeys()
    for (const table of touched) rows += await bringRows(from, source, to, table, notedKeys(source, table))
    return rows
  }
  await pieces.paced(bringKeys)
  await inPages(to, KEYS, pieces, async (where) => {
    const found = await to.query<{ table_name: string; keys: string }>(
      `select table_name, json_agg(key)::text as keys from ${KEYS} k where ${where('k')} group by 1`,
    )
    for (const table of touched) {
      const keys = found.find((f) => f.table_name === table.name)?.keys
      if (keys !== undefined) rows += await bring(from, source, to, table, keys)
    }
  })
  return rows
}

function notedKeys(source: Side, table: RoomTable): string {
  return `select distinct key from tenancy.notes where tenant_id = '${source.tenant}' and table_name = ${quoteLiteral(table.name)}`
}

const PAGE_BYTES = 8192
const PAGES_MAX = 256

/** A temporary table's rows as they lie, page after page. Nothing is added to it meanwhile. */
async function inPages(
  client: MoverClient,
  table: string,
  pacer: Pacer,
  work: (where: (alias: string) => string) => Promise<void>,
): Promise<void> {
  const [row] = await client.query<{ pages: number }>(
    'select pg_relation_size($1::regclass)::float8 / $2::int as pages',
    [table, PAGE_BYTES],
  )
  const paced = pacer.pieces()
  for (let begin = 0; begin < row!.pages; ) {
    await paced(async (part) => {
      const end = begin + Math.max(1, Math.floor(part * PAGES_MAX))
      await work((alias) => `${alias}.ctid >= '(${begin},0)' and ${alias}.ctid < '(${end},0)'`)
      begin = end
    })
  }
}

/** @param keys a JSON array, as text: its numbers may be larger than JavaScript's */
function bring(from: MoverClient, source: Side, to: MoverClient, table: RoomTable, keys: string) {
  return bringRows(from, source, to, table, `select key from jsonb_array_elements(${quoteLiteral(keys)}) j(key)`)
}

async function bringRows(from: MoverClient, source: Side, to: MoverClient, table: RoomTable, keys: string) {
  const copied = await from.copyTo(
    `copy (select ${copiedColumns(table, 't.')} from (${keys}) n cross join lateral ${rowOf(source, table, 'n.key')} t)
     to stdout (format binary)`,
    to,
    `copy ${stageOf(table)} (${copiedColumns(table)}) from stdin (format binary)`,
  )
  return copied.rows
}

/** All deletes before all inserts, and one table after the other: the order is nobody's concern where nothing acts. */
async function putIn(
  to: MoverClient,
  target: Side,
  touched: readonly RoomTable[],
  pieces: Pacer | null,
): Promise<void> {
  const removal = (t: RoomTable, where: string) => `delete from ${target.table(t.name)} d using (
      select t.place from ${KEYS} k cross join lateral ${rowOf(target, t, 'k.key', 'r.ctid as place')} t
      where k.table_name = ${quoteLiteral(t.name)} ${where}) old
    where d.ctid = old.place;`
  const insertion = (t: RoomTable, where: string) => `insert into ${target.table(t.name)} (${copiedColumns(t)})
    overriding system value select ${copiedColumns(t)} from ${stageOf(t)} s ${where};`
  if (pieces === null) {
    await to.script(`${REMEMBER_DIRTY}; ${AS_MOVER};
      ${touched.map((t) => removal(t, '')).join('\n')}
      ${touched.map((t) => insertion(t, '')).join('\n')}
      reset role`)
    return
  }
  await pieces.paced(() => to.script(REMEMBER_DIRTY))
  await inPages(to, KEYS, pieces, (where) =>
    to.script(`${AS_MOVER}; ${touched.map((t) => removal(t, `and ${where('k')}`)).join('\n')} reset role`),
  )
  for (const table of touched) {
    await inPages(to, stageOf(table), pieces, (where) =>
      to.script(`${AS_MOVER}; ${insertion(table, `where ${where('s')}`)} reset role`),
    )
  }
}

/**
 * The row that a note's key names, or its place in the table. The limit makes the planner look each key up by the primary key: left
 * to itself it reads all rows of the tenant where it knows nothing of the keys, which are in a table made a moment ago.
 */
export function rowOf(side: Side, table: RoomTable, key: string, what = 'r.*'): string {
  const same = table.key
    .map((c) => `and r.${quoteIdent(c.name)} = (${key} ->> ${quoteLiteral(c.name)})::${c.type}`)
    .join(' ')
  return `(select ${what} from ${side.table(table.name)} r where r.tenant_id = '${side.tenant}' ${same} limit 1)`
}
