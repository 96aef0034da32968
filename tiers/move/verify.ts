import { quoteIdent } from '../quote.ts'
import { rowOf } from './apply.ts'
import type { RoomTable } from './catalogue.ts'
import type { MoverClient } from './mover-client.ts'
import { type Pacer, UNPACED } from './pacer.ts'
import { after, boundary, upTo } from './ranges.ts'
import { AS_MOVER, beginRead, type Side } from './side.ts'
import { DIRTY } from './staging.ts'
import type { TableProof } from './types.ts'

/** The two sides are not the same, and nobody but the mover writes the target: something is broken, and the move ends. */
export class Differs extends Error {
  readonly differences: readonly string[]
  constructor(differences: readonly string[]) {
    super(`the target differs from the source: ${differences.join('; ')}`)
    this.name = 'Differs'
    this.differences = differences
  }
}

/**
 * The connections that noted all that was applied since a whole verification. What is dirty is noted in a temporary table,
 * so another connection would know of nothing, and a cut-over that was begun again on it compare nothing.
 */
const verified = new WeakSet<MoverClient>()

const NAMED_MAX = 5
/** One piece of a table: its hash is a few hundredths of a second of a server's time. */
const PIECE_ROWS = 50_000
const PIECE_ROWS_MIN = 500
const DIRTY_PIECE_ROWS = 1_000
const BLOCK_BYTES = 8192

/**
 * Hashes every row of the tenant on both sides and compares, table by table. It looks for rows by the tenant alone, not by
 * what the copy enumerated, and each side by its own order. To be called while the snapshot of a pass is open at the source
 * and committed at the target.
 *
 * @param onHashed told of rows that were hashed at one of the sides
 * @returns the proof, for the certificate
 * @throws Differs naming tables and keys; also where there is nothing to compare
 */
export async function verifyAll(
  source: Side,
  target: Side,
  tables: readonly RoomTable[],
  pacer: Pacer = UNPACED,
  onHashed: (rows: number) => void = () => {},
): Promise<TableProof[]> {
  if (tables.length === 0) throw new Differs(['the room has no tables'])
  const [from, to] = await Promise.all([source.client(), target.client()])
  return to.transaction(beginRead(target), async () => {
    const proofs: TableProof[] = []
    const differences: string[] = []
    for (const table of tables) {
      const ours = () => hashOfAll(from, source, table, pacer, onHashed)
      const theirs = () => hashOfAll(to, target, table, pacer, onHashed)
      // Of one server both at a time would take twice as much from its other tenants.
      const isOneServer = source.placement.cluster === target.placement.cluster
      const [here, there] = isOneServer ? [await ours(), await theirs()] : await Promise.all([ours(), theirs()])
      proofs.push({ table: table.name, rows: here.rows, source: here.hash, target: there.hash })
      if (here.rows === there.rows && here.hash === there.hash) continue
      differences.push(...(await nameDifferences(from, to, source, target, table)))
    }
    if (differences.length > 0) throw new Differs(differences)
    return proofs
  })
}

/**
 * Compares only what was applied since it was last compared. To be called while the snapshot of a pass is open at the source
 * and committed at the target.
 *
 * @param rowsMax of rows that may be compared
 * @returns how many rows were compared; null where they are more than may be
 * @throws Differs; and an Error where the connection of the whole verification is gone, which has to be repeated then
 */
export async function verifyDirty(
  source: Side,
  target: Side,
  tables: readonly RoomTable[],
  rowsMax: number,
  pacer: Pacer = UNPACED,
): Promise<number | null> {
  const [from, to] = await Promise.all([source.client(), target.client()])
  if (!verified.has(to)) throw new Error('the connection that knew what to compare is gone: all is verified once more')
  return to.transaction(beginRead(target), async () => {
    const dirty = await to.query<{ table_name: string; keys: string; count: number }>(
      `select table_name, jsonb_agg(key)::text as keys, count(*)::float8 as count
       from (select table_name, key, (row_number() over (partition by table_name) - 1) / ${DIRTY_PIECE_ROWS} as piece
         from (select distinct table_name, key from ${DIRTY}) d) p
       group by table_name, piece`,
    )
    const count = dirty.reduce((sum, d) => sum + d.count, 0)
    if (count > rowsMax) return null
    const differences = new Set<string>()
    for (const { table_name, keys } of dirty) {
      const table = tables.find((t) => t.name === table_name)
      if (table === undefined) continue
      const [here, there] = await pacer.paced(() =>
        Promise.all([hashOfKeys(from, source, table, keys), hashOfKeys(to, target, table, keys)]),
      )
      if (here.rows !== there.rows || here.hash !== there.hash) differences.add(changed(table))
    }
    if (differences.size > 0) throw new Differs([...differences])
    return count
  })
}

export const changed = (table: RoomTable): string => `${table.name}: changed while it was moved`

/** To be called when a verification has held: from here on what is applied is dirty. */
export async function forgetDirty(target: Side): Promise<void> {
  const client = await target.client()
  await client.query(`truncate ${DIRTY}`)
  verified.add(client)
}

/** All columns of the row as text, in a fixed order; an empty text and a null differ in it, and so do 1.0 and 1.00. */
export function rowText(table: RoomTable): string {
  return `row(${[...table.columns]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((c) => `t.${quoteIdent(c.name)}`)
    .join(', ')})::text`
}

interface Hash {
  readonly rows: number
  /** Two sums. */
  readonly hash: string
}

/** The whole table, in pieces between which the neighbours have their turn. The last piece has no end. */
async function hashOfAll(
  client: MoverClient,
  side: Side,
  table: RoomTable,
  pacer: Pacer,
  onHashed: (rows: number) => void,
): Promise<Hash> {
  const next = side.placement.isolation === 'shared' ? byKey(client, side, table) : await byPlace(client, side, table)
  const inPieces = pacer.pieces()
  let sum: Hash = { rows: 0, hash: '0:0' }
  for (;;) {
    const { piece, isLast } = await inPieces(async (part) => {
      const { where, isLast } = await next(Math.max(PIECE_ROWS_MIN, Math.floor(part * PIECE_ROWS)))
      const chosen = [`t.tenant_id = '${side.tenant}'`, ...where].join(' and ')
      return { piece: await hashOf(client, table, `${side.table(table.name)} t where ${chosen}`), isLast }
    })
    sum = { rows: sum.rows + piece.rows, hash: added(sum.hash, piece.hash) }
    onHashed(piece.rows)
    if (isLast) return sum
  }
}

/** The next piece, of about so many rows. */
type Pieces = (rows: number) => Promise<{ readonly where: readonly string[]; readonly isLast: boolean }>

/** In the pool the key leads to the tenant's rows. */
function byKey(client: MoverClient, side: Side, table: RoomTable): Pieces {
  let last: string[] | null = null
  return async (rows) => {
    const begin = last === null ? [] : [after(table, last)]
    last = await boundary(client, side, table, [`tenant_id = '${side.tenant}'`, ...begin], rows)
    return last === null ? { where: begin, isLast: true } : { where: [...begin, upTo(table, last)], isLast: false }
  }
}

/** Elsewhere all rows are the tenant's, and are read as they lie: in one snapshot they stay where they are. */
async function byPlace(client: MoverClient, side: Side, table: RoomTable): Promise<Pieces> {
  const blocks = await blocksOf(client, side, table)
  let begin = 0
  return async (rows) => {
    const [first, end] = [begin, begin + Math.max(1, Math.floor((rows * table.rowBytes) / BLOCK_BYTES))]
    begin = end
    const isLast = end >= blocks
    return { where: [`t.ctid >= '(${first},0)'`, ...(isLast ? [] : [`t.ctid < '(${end},0)'`])], isLast }
  }
}

/** In the middle of a transaction as the mover's role, which may not ask for sizes. */
async function blocksOf(client: MoverClient, side: Side, table: RoomTable): Promise<number> {
  await client.script('reset role')
  const [row] = await client.query<{ blocks: number }>(
    `select pg_relation_size($1::regclass)::float8 / ${BLOCK_BYTES} as blocks`,
    [side.table(table.name)],
  )
  await client.script(AS_MOVER)
  return row!.blocks
}

/** Two hashes, or sums of them, as one text. */
export function added(a: string, b: string): string {
  const [x, y] = [a.split(':'), b.split(':')]
  return x.map((part, i) => BigInt(part) + BigInt(y[i]!)).join(':')
}

function hashOfKeys(client: MoverClient, side: Side, table: RoomTable, keys: string): Promise<Hash> {
  return hashOf(client, table, keysAre(side, table, '$1'), [keys])
}

/** What to hash where rows are named by their keys, in a JSON array. */
export function keysAre(side: Side, table: RoomTable, keys: string): string {
  return `(select distinct key from jsonb_array_elements(${keys}::jsonb) k(key)) k
    cross join lateral ${rowOf(side, table, 'k.key')} t`
}

async function hashOf(
  client: MoverClient,
  table: RoomTable,
  chosen: string,
  params: readonly string[] = [],
): Promise<Hash> {
  const [row] = await client.query<Hash & Record<string, unknown>>(hashQuery(table, chosen), params)
  return row!
}

/** How many rows, and two sums that do not depend on their order. */
export function hashQuery(table: RoomTable, chosen: string): string {
  const sums = rowHashes('h').map((hash) => `coalesce(sum(${hash}), 0)`)
  return `select count(*)::float8 as rows, ${sums.join(" || ':' || ")} as hash
    from (select ${rowText(table)} as h from ${chosen} offset 0) hashed`
}

/**
 * Two hashes of 64 bits, by which the server finds the partition of a row as well, and which are therefore the same in every
 * version: enough against chance, and quicker than an MD5 of each row.
 */
export function rowHashes(text: string): readonly string[] {
  return [1, 2].map((seed) => `hashtextextended(${text} collate "C", ${seed})`)
}

/** Names the first rows at fault by their keys, which an operator can look up; never by what is in them. */
async function nameDifferences(from: MoverClient, to: MoverClient, source: Side, target: Side, table: RoomTable) {
  const listed = async (client: MoverClient, side: Side) => {
    const key = table.key.map((c) => `t.${quoteIdent(c.name)}::text`).join(', ')
    const rows = await client.query<{ key: string[]; hash: string }>(
      `select array[${key}]::text[] as key, md5(${rowText(table)}) as hash from ${side.table(table.name)} t
       where t.tenant_id = '${side.tenant}' limit 200000`,
    )
    return new Map(rows.map((r) => [r.key.join(','), r.hash]))
  }
  const [here, there] = [await listed(from, source), await listed(to, target)]
  const named: string[] = []
  for (const [key, hash] of here) {
    if (!there.has(key)) named.push(`${table.name} (${key}) is missing`)
    else if (there.get(key) !== hash) named.push(`${table.name} (${key}) is another`)
  }
  for (const key of there.keys()) if (!here.has(key)) named.push(`${table.name} (${key}) is too many`)
  const rest = named.length - NAMED_MAX
  return rest > 0 ? [...named.slice(0, NAMED_MAX), `and ${rest} more in ${table.name}`] : named
}
