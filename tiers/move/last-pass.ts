import { quoteIdent, quoteLiteral } from '../quote.ts'
import { rowOf } from './apply.ts'
import type { RoomSequence, RoomTable } from './catalogue.ts'
import type { Flow } from './context.ts'
import { drained, type FenceChange, fencing } from './fence.ts'
import type { MoverClient, Texts } from './mover-client.ts'
import { continuing, type SequenceValue, valuesQuery } from './sequences.ts'
import { AS_MOVER, beginRead, beginWrite, type Side } from './side.ts'
import { copiedColumns } from './staging.ts'
import { added, changed, Differs, hashQuery, keysAre, rowHashes, rowText } from './verify.ts'

/** As a rule only what came in between the pass before and the fence. */
const NOTES_MAX = 200
/** Of a row's text: it passes through the mover's memory. */
const ROW_BYTES_MAX = 64 * 1024

/** Where they begin among a message's results. */
const HASHES = 'hashes'

/** What the pass before has found and done: a guess for tables, which makes this one shorter, and the truth for sequences. */
export interface PassBefore {
  readonly tables: readonly string[]
  /** As far as the target has been brought. */
  readonly sequences: ReadonlyMap<string, SequenceValue>
}

/** What is read at the source and not yet at the target. The source's transaction is open. */
export interface LastPass {
  /**
   * Writes it, commits, and compares both ends.
   *
   * @param behind what the target is to do when that is committed and hashed, from BEGIN to COMMIT, in the same round trip:
   *   before it is known here whether the hashes are the same
   * @returns how many rows were compared
   * @throws Differs
   */
  bring(behind: string): Promise<number>
  /** Ends the source's transaction: it forgets what was brought. */
  forget(): Promise<void>
}

export interface Fence {
  readonly change: FenceChange
  readonly boundMs: number
}

/**
 * Fences the source and begins the last pass of a cut-over: the rows that were noted, the sequences, and the comparison of
 * what it brings, in two round trips, because the tenant is waiting: read and hashed at the source right behind the fence;
 * written, committed and hashed at the target. To plan a query takes longer than to run it, so at once only those tables are
 * read that had notes in the pass before; another's rows are a third round trip. The rows travel as text in statements, as in a dump, and not
 * as a stream. Only when all that was noted before has been compared, and not into a pool where foreign keys act.
 *
 * @returns null where there are too many or too large rows for it: then the source is fenced, and that is all
 * @throws Undrained
 */
export async function fenceAndRead(
  { source, target }: Flow,
  { change, boundMs }: Fence,
  tables: readonly RoomTable[],
  sequences: readonly RoomSequence[],
  before: PassBefore,
): Promise<LastPass | null> {
  const [from, to] = await Promise.all([source.client(), target.client()])
  const giveUp = () => from.script('rollback')
  try {
    const [expected, others] = [
      tables.filter((t) => before.tables.includes(t.name)),
      tables.filter((t) => !before.tables.includes(t.name)),
    ]
    const reading = [notedQuery(source), ...expected.map((t) => rowsQuery(source, t))]
    const ids = sequences.length === 0 ? [] : ['reset role', valuesQuery(source, sequences), AS_MOVER]
    const script = `${fencing(source, change, boundMs)}; ${beginRead(source)}; set local synchronous_commit = off;
      ${[...reading, ...ids].join(';')}`
    const results = await drained(boundMs, () => from.texts(script))
    const read = results.slice(-reading.length - ids.length)
    const notes = read[0]!
    const rowsOf = new Map(expected.map((t, i) => [t, read[i + 1]!]))
    const missed = others.filter((t) => notes.some(([name]) => name === t.name))
    if (missed.length > 0 && notes.length <= NOTES_MAX) {
      const rest = await from.texts(missed.map((t) => rowsQuery(source, t)).join(';'))
      for (const [i, table] of missed.entries()) rowsOf.set(table, rest[i]!)
    }
    if (notes.length > NOTES_MAX || [...rowsOf.values()].flat().some(([fits]) => fits !== 't')) {
      await giveUp()
      return null
    }
    const touched: Touched[] = []
    for (const [table, rows] of rowsOf) {
      const keys = notes.filter(([name]) => name === table.name).map(([, key]) => key!)
      if (keys.length > 0) touched.push({ table, keys: quoteLiteral(`[${keys.join(',')}]`), rows })
    }
    // What is noted is brought, or not forgotten.
    if (notes.some(([name]) => !touched.some((t) => t.table.name === name)))
      throw new Error('a table was noted that is not known')
    const values = ids.length === 0 ? new Map<string, SequenceValue>() : valuesFrom(read.at(-2)!)
    const drawn = sequences.filter(({ name }) => !isSame(values.get(name)!, before.sequences.get(name)))
    const continued = drawn.length === 0 ? '' : continuing(target, drawn, values)
    return {
      async bring(behind) {
        try {
          const hasMore = touched.length > 0 || continued !== ''
          const theirs = hasMore ? await putIn(to, target, touched, continued, behind) : []
          if (!hasMore && behind !== '') await to.script(behind)
          const different = touched.filter(({ rows }, i) => hashOf(rows) !== theirs[i]!.join())
          if (different.length > 0) throw new Differs(different.map(({ table }) => changed(table)))
          return notes.length
        } catch (error) {
          await Promise.allSettled([giveUp(), to.script('rollback')])
          throw error
        }
      },
      forget: () => from.script(`delete from tenancy.notes where tenant_id = '${source.tenant}'; commit`),
    }
  } catch (error) {
    await giveUp().catch(() => {})
    throw error
  }
}

/** @returns the hashes of what is there then, read after the commit */
async function putIn(
  to: MoverClient,
  target: Side,
  touched: readonly Touched[],
  continued: string,
  behind: string,
): Promise<Texts[]> {
  const hashes = touched.map(({ table, keys }) => `${hashQuery(table, keysAre(target, table, keys))};`)
  const before = `${beginWrite(target)}; ${continued} ${AS_MOVER};
    ${touched.map((t) => removal(target, t)).join('\n')}
    ${touched.map((t) => insertion(target, t)).join('\n')}
    reset role; commit; ${beginRead(target)};`
  const results = await to.texts(`${before} select '${HASHES}'; ${hashes.join('\n')} commit; ${behind}`)
  const at = results.findIndex(([row]) => row?.[0] === HASHES) + 1
  return results.slice(at, at + hashes.length)
}

function valuesFrom(read: Texts): Map<string, SequenceValue> {
  return new Map(read.map(([name, last, called]) => [name!, { last: last!, called: called === 't' }]))
}

function isSame(a: SequenceValue, b: SequenceValue | undefined): boolean {
  return a.last === b?.last && a.called === b.called
}

interface Touched {
  readonly table: RoomTable
  /** A JSON array, quoted. */
  readonly keys: string
  /** As they are at the source, after whether they are small enough and their hash. */
  readonly rows: Texts
}

/** As {@link hashQuery} says it. */
function hashOf(rows: Texts): string {
  return `${rows.length},${rows.reduce((sum, [, hash]) => added(sum, hash!), '0:0')}`
}

function noted(source: Side): string {
  return `(select distinct table_name, key from tenancy.notes where tenant_id = '${source.tenant}' limit ${NOTES_MAX + 1})`
}

function notedQuery(source: Side): string {
  return `select table_name, key::text from ${noted(source)} n`
}

function rowsQuery(source: Side, table: RoomTable): string {
  const columns = table.columns.filter((c) => !c.generated).map((c) => `t.${quoteIdent(c.name)}`)
  // All qualified: a table may have columns of these names.
  return `select size.fits, ${rowHashes('texted.h').join(" || ':' || ")}, ${columns.map((c) => `case when size.fits then ${c} end`).join(', ')}
    from ${noted(source)} n cross join lateral ${rowOf(source, table, 'n.key')} t
    cross join lateral (select ${rowText(table)} as h offset 0) texted
    cross join lateral (select octet_length(texted.h) <= ${ROW_BYTES_MAX} as fits) size
    where n.table_name = ${quoteLiteral(table.name)}`
}

function removal(target: Side, { table, keys }: Touched): string {
  return `delete from ${target.table(table.name)} d using (
      select t.place from jsonb_array_elements(${keys}::jsonb) k(key)
      cross join lateral ${rowOf(target, table, 'k.key', 'r.ctid as place')} t) old
    where d.ctid = old.place;`
}

function insertion(target: Side, { table, rows }: Touched): string {
  if (rows.length === 0) return ''
  const values = rows.map(
    ([, , ...row]) => `(${row.map((text) => (text === null ? 'null' : quoteLiteral(text))).join(', ')})`,
  )
  return `insert into ${target.table(table.name)} (${copiedColumns(table)}) overriding system value values ${values.join(', ')};`
}
