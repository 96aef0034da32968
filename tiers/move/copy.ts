import type { RoomTable } from './catalogue.ts'
import type { MoverClient } from './mover-client.ts'
import { after, boundary, upTo } from './ranges.ts'
import { AS_MOVER, beginRead, beginWrite, type Side } from './side.ts'
import { copiedColumns, ensureStaging, stageOf } from './staging.ts'

/** One chunk is about this much: short enough for a snapshot that holds nobody's vacuum back, and for a restart. */
const CHUNK_BYTES = 8 * 1024 * 1024
const CHUNK_ROWS_MAX = 20_000
const SIDE_BY_SIDE = 2

export interface CopyReport {
  /** Rows and bytes of one chunk. */
  onChunk(rows: number, bytes: number): void
  /** Asked before each chunk; it throws to stop, and may wait. */
  mayGoOn(): Promise<void>
  /** Runs a chunk in its turn, and says how large it may be: a part of a full one. */
  paced<T>(chunk: (part: number) => Promise<T>): Promise<T>
}

interface Position {
  readonly last: string[] | null
  readonly is_done: boolean
}

/**
 * Copies the tenant's rows table by table, in chunks by primary key, several tables at a time. What has changed since is
 * noted at the source, so a chunk need not agree with the others: a row that is in the way of another by a unique key is
 * left out, because one of the two was noted, and the first catch-up pass puts both right.
 *
 * Goes on from the last chunk that was committed at the target.
 */
export async function copyRows(
  source: Side,
  target: Side,
  tables: readonly RoomTable[],
  report: CopyReport,
): Promise<void> {
  const waiting = [...tables]
  const work = async () => {
    const [from, to] = [await source.another(), await target.another()]
    try {
      for (let table = waiting.shift(); table !== undefined; table = waiting.shift()) {
        await ensureStaging(to, target, [table])
        await copyTable({ source, target, from, to }, table, report)
      }
    } finally {
      await Promise.all([from.close(), to.close()])
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: Math.min(SIDE_BY_SIDE, tables.length) }, work))
  const failed = ended.find((e) => e.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

interface Ends {
  readonly source: Side
  readonly target: Side
  readonly from: MoverClient
  readonly to: MoverClient
}

async function copyTable(ends: Ends, table: RoomTable, report: CopyReport): Promise<void> {
  const { target, to } = ends
  const [known] = await to.query<Position>(
    'select last, is_done from tenancy.move_tables where move = $1 and table_name = $2',
    [target.move, table.name],
  )
  let position: Position = known ?? { last: null, is_done: false }
  while (!position.is_done) {
    await report.mayGoOn()
    const { last } = position
    const chunk = await report.paced((part) => copyChunk(ends, table, last, part))
    report.onChunk(chunk.rows, chunk.bytes)
    position = chunk
  }
}

async function copyChunk({ source, target, from, to }: Ends, table: RoomTable, last: string[] | null, part: number) {
  const limit = Math.max(1, Math.floor(part * Math.min(CHUNK_ROWS_MAX, CHUNK_BYTES / table.rowBytes)))
  return from.transaction(beginRead(source), async () => {
    const bounds = [`tenant_id = '${source.tenant}'`]
    if (last !== null) bounds.push(after(table, last))
    const end = await boundary(from, source, table, bounds, limit)
    if (end !== null) bounds.push(upTo(table, end))
    return to.transaction(beginWrite(target), async () => {
      const copied = await from.copyTo(
        `copy (select ${copiedColumns(table)} from ${source.table(table.name)} where ${bounds.join(' and ')}) to stdout (format binary)`,
        to,
        `copy ${stageOf(table)} (${copiedColumns(table)}) from stdin (format binary)`,
      )
      if (copied.rows > 0) {
        await to.script(`${AS_MOVER};
          insert into ${target.table(table.name)} (${copiedColumns(table)}) overriding system value
          select ${copiedColumns(table)} from ${stageOf(table)} on conflict do nothing;
          reset role`)
      }
      await to.query(
        `insert into tenancy.move_tables as t (move, table_name, last, rows, bytes, is_done) values ($1, $2, $3, $4, $5, $6)
         on conflict (move, table_name) do update set last = excluded.last, rows = t.rows + excluded.rows,
           bytes = t.bytes + excluded.bytes, is_done = excluded.is_done`,
        [target.move, table.name, end, copied.rows, copied.bytes, end === null],
      )
      return { ...copied, last: end, is_done: end === null }
    })
  })
}
