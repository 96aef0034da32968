import { quoteLiteral } from '../quote.ts'
import { OWNER } from '../tenancy/roles.ts'
import type { RoomTable } from './catalogue.ts'
import { type Chunks, chunksOf, Rewritten } from './chunks.ts'
import { makeKey } from './make-key.ts'
import type { MoverClient } from './mover-client.ts'
import type { Pacer } from './pacer.ts'
import { hasWaitingRoom, waitingTable } from './pool.ts'
import { AS_MOVER, beginRead, beginWrite, type Side } from './side.ts'
import { copiedColumns, ensureStaging, stageOf } from './staging.ts'

const SIDE_BY_SIDE = 2

export interface CopyReport {
  readonly chunkBytes: number
  /** Rows and bytes of one chunk. */
  onChunk(rows: number, bytes: number): void
  /** Asked before each chunk; it throws to stop, and may wait. */
  mayGoOn(): Promise<void>
  readonly pacer: Pacer
  /** Rows are all there, their key is not yet. */
  onLoaded(): Promise<void>
}

interface Position {
  readonly last: readonly string[] | null
  readonly is_done: boolean
}

/**
 * Copies the tenant's rows table by table, in chunks, several tables at a time. What has changed since capture began is
 * noted at the source, so a chunk need not agree with the others.
 *
 * A table of a new room is bare: rows go straight into it, and its key is made when all are there. Into any other table
 * they go by way of a temporary one, and a row that is in the way of another by a unique key is left out, because one of
 * the two was noted, and the first catch-up pass puts both right.
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
    const [from, to] = await Promise.all([source.another(), target.another()])
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

export interface Ends {
  readonly source: Side
  readonly target: Side
  readonly from: MoverClient
  readonly to: MoverClient
}

interface Destination {
  readonly table: RoomTable
  /** Where its rows go. */
  readonly into: string
  readonly isBare: boolean
}

async function copyTable(ends: Ends, table: RoomTable, report: CopyReport): Promise<void> {
  const { target, to } = ends
  const [known] = await to.query<Position>(
    'select last, is_done from tenancy.move_tables where move = $1 and table_name = $2',
    [target.move, table.name],
  )
  let position: Position = known ?? { last: null, is_done: false }
  const into = (await hasWaitingRoom(to, target)) ? waitingTable(target, table) : target.table(table.name)
  const isBare = await isBareTable(to, into)
  const inPieces = report.pacer.pieces()
  let chunks = await chunksOf(ends.from, ends.source, table, report.chunkBytes)
  while (!position.is_done) {
    await report.mayGoOn()
    try {
      const { last } = position
      const chunk = await inPieces((part) => copyChunk(ends, { table, into, isBare }, chunks, last, part))
      report.onChunk(chunk.rows, chunk.bytes)
      position = chunk
    } catch (error) {
      if (!(error instanceof Rewritten)) throw error
      await startOver(ends, { table, into, isBare })
      chunks = await chunksOf(ends.from, ends.source, table, report.chunkBytes)
      position = { last: null, is_done: false }
    }
  }
  await report.onLoaded()
  await report.pacer.paced((speed) => makeKey(ends, table, speed))
}

/** Nothing on it that a row must get past: then the owner may COPY into it. */
async function isBareTable(to: MoverClient, table: string): Promise<boolean> {
  const [row] = await to.query<{ is_bare: boolean }>(
    `select not relforcerowsecurity and not exists (select from pg_index i where i.indrelid = c.oid)
       and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgenabled <> 'D') as is_bare
     from pg_class c where c.oid = $1::regclass`,
    [table],
  )
  return row!.is_bare
}

async function copyChunk(
  { source, target, from, to }: Ends,
  { table, into, isBare }: Destination,
  chunks: Chunks,
  last: readonly string[] | null,
  part: number,
) {
  const columns = copiedColumns(table)
  return from.transaction(beginRead(source), async () => {
    const { where, next } = await chunks.after(last, part)
    const chosen = [`tenant_id = '${source.tenant}'`, ...where].join(' and ')
    return to.transaction(`${beginWrite(target)}; ${isBare ? `set local role ${OWNER}` : ''}`, async () => {
      const copied = await from.copyTo(
        `copy (select ${columns} from ${source.table(table.name)} where ${chosen}) to stdout (format binary)`,
        to,
        `copy ${isBare ? into : stageOf(table)} (${columns}) from stdin (format binary)`,
      )
      await chunks.assertSame()
      if (copied.rows > 0 && !isBare) {
        await to.script(`${AS_MOVER};
          insert into ${into} (${columns}) overriding system value
          select ${columns} from ${stageOf(table)} on conflict do nothing`)
      }
      await to.script(`reset role;
        insert into tenancy.move_tables as t (move, table_name, last, rows, bytes, is_done)
        values ('${target.move}', ${quoteLiteral(table.name)}, ${arrayOf(next)}, ${copied.rows}, ${copied.bytes}, ${next === null})
        on conflict (move, table_name) do update set last = excluded.last, rows = t.rows + excluded.rows,
          bytes = t.bytes + excluded.bytes, is_done = excluded.is_done`)
      return { ...copied, last: next, is_done: next === null }
    })
  })
}

function arrayOf(values: readonly string[] | null): string {
  return values === null ? 'null' : `array[${values.map(quoteLiteral).join(', ')}]`
}

async function startOver({ target, to }: Ends, { table, into, isBare }: Destination): Promise<void> {
  await to.transaction(beginWrite(target), () =>
    to.script(`${isBare ? `set local role ${OWNER}` : AS_MOVER}; delete from ${into} where tenant_id = '${target.tenant}'; reset role;
      delete from tenancy.move_tables where move = '${target.move}' and table_name = ${quoteLiteral(table.name)}`),
  )
}
