import type { RoomTable } from './catalogue.ts'
import type { MoverClient } from './mover-client.ts'
import { after, boundary, upTo } from './ranges.ts'
import type { Side } from './side.ts'

const CHUNK_ROWS_MAX = 40_000
const BLOCK_BYTES = 8192

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
  const bytes = Math.min(chunkBytes, CHUNK_ROWS_MAX * table.rowBytes)
  if (source.placement.isolation === 'shared') {
    return { after: (last, part) => byKey(from, source, table, last, part * bytes), assertSame: async () => {} }
  }
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

async function byKey(
  from: MoverClient,
  source: Side,
  table: RoomTable,
  last: readonly string[] | null,
  bytes: number,
): Promise<Chunk> {
  const where = last === null ? [] : [after(table, last)]
  const limit = Math.max(1, Math.floor(bytes / table.rowBytes))
  const end = await boundary(from, source, table, [`tenant_id = '${source.tenant}'`, ...where], limit)
  return end === null ? { where, next: null } : { where: [...where, upTo(table, end)], next: end }
}
