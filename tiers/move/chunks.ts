import { quoteIdent } from '../quote.ts'
import type { RoomTable } from './catalogue.ts'
import type { MoverClient } from './mover-client.ts'
import { after, boundary, upTo } from './ranges.ts'
import { beginRead, type Side } from './side.ts'

const CHUNK_ROWS_MAX = 40_000
const BLOCK_BYTES = 8192
const SAMPLE_ROWS = 200

export interface Chunk {
  /** Which rows, as conditions of a statement that takes no parameters. */
  readonly where: readonly string[]
  /** Where the next one begins; null where this is the table's last. */
  readonly next: readonly string[] | null
}

/** The table is not where it was when the copy of it began: what has been copied says nothing about the rest. */
export class Rewritten extends Error {
  constructor(table: RoomTable) {
    super(`${table.name} was rewritten at the source, by VACUUM FULL or the like`)
    this.name = 'Rewritten'
  }
}

/** How a table is cut up. Both are to be called in the transaction in which the chunk is read. */
export interface Chunks {
  /**
   * @param last `next` of the chunk before; null for the first
   * @param part of a full chunk: over 0, up to 1
   * @throws Rewritten
   */
  after(last: readonly string[] | null, part: number): Promise<Chunk>
  /** After the chunk was read, while its lock keeps the table where it is. @throws Rewritten */
  assertSame(): Promise<void>
}

/**
 * Cuts up a table, which is looked at now. A room of the tenant's own is read as it lies on the disk; in the pool, where
 * others' rows lie between, the primary key leads to the rows.
 *
 * A row that moves while the table is read may be met twice, or never. Either way it was changed, and so it was noted.
 */
export async function chunksOf(from: MoverClient, source: Side, table: RoomTable, chunkBytes: number): Promise<Chunks> {
  if (source.placement.isolation === 'shared') {
    const rows = Math.min(CHUNK_ROWS_MAX, chunkBytes / (await bytesOfRow(from, source, table)))
    return { after: (last, part) => byKey(from, source, table, last, part * rows), assertSame: async () => {} }
  }
  const bytes = Math.min(chunkBytes, CHUNK_ROWS_MAX * table.rowBytes)
  const name = source.table(table.name)
  const [row] = await from.query<{ file: string; blocks: number; spread: number }>(
    `select pg_relation_filenode($1::regclass)::text as file, size / ${BLOCK_BYTES} as blocks,
       greatest(1, pg_table_size($1::regclass) / greatest(1, size)) as spread
     from (select pg_relation_size($1::regclass)::float8 as size offset 0) s`,
    [name],
  )
  const { file, blocks, spread } = row!
  // Large values lie elsewhere, and there may be far more of them than of the rows' own blocks.
  const step = bytes / BLOCK_BYTES / spread
  return {
    async after(last, part) {
      if (last !== null && last[1] !== file) throw new Rewritten(table)
      const begin = last === null ? 0 : Number(last[0])
      const end = begin + Math.max(1, Math.floor(part * step))
      // The last one has no end: what has come since is noted as well, and may be met or not.
      return end >= blocks
        ? { where: [`ctid >= '(${begin},0)'`], next: null }
        : { where: [`ctid >= '(${begin},0)'`, `ctid < '(${end},0)'`], next: [String(end), file] }
    },
    async assertSame() {
      const [now] = await from.query<{ file: string }>('select pg_relation_filenode($1::regclass)::text as file', [
        name,
      ])
      if (now!.file !== file) throw new Rewritten(table)
    },
  }
}

/**
 * Of the tenant's first rows, with their large values. The size of the pool's files says nothing about a row: most of it
 * may be the space of tenants who have left.
 */
async function bytesOfRow(from: MoverClient, source: Side, table: RoomTable): Promise<number> {
  const order = table.key.length === 0 ? '' : `order by ${table.key.map((c) => quoteIdent(c.name)).join(', ')}`
  const [row] = await from.transaction(beginRead(source), () =>
    from.query<{ bytes: number | null }>(
      `select avg(octet_length(t::text))::float8 as bytes from (
         select * from ${source.table(table.name)} where tenant_id = '${source.tenant}' ${order} limit ${SAMPLE_ROWS}) t`,
    ),
  )
  return Math.max(32, row!.bytes ?? 0)
}

async function byKey(
  from: MoverClient,
  source: Side,
  table: RoomTable,
  last: readonly string[] | null,
  rows: number,
): Promise<Chunk> {
  const where = last === null ? [] : [after(table, last)]
  const limit = Math.max(1, Math.floor(rows))
  const end = await boundary(from, source, table, [`tenant_id = '${source.tenant}'`, ...where], limit)
  return end === null ? { where, next: null } : { where: [...where, upTo(table, end)], next: end }
}
