import { quoteIdent, quoteLiteral } from '../quote.ts'
import { rowOf } from './apply.ts'
import type { RoomSequence, RoomTable } from './catalogue.ts'
import type { Texts } from './mover-client.ts'
import { isConsiderate } from './pool.ts'
import { continuing, type SequenceValue, valuesQuery } from './sequences.ts'
import { AS_MOVER, beginRead, beginWrite, type Side } from './side.ts'
import { copiedColumns } from './staging.ts'
import { changed, Differs, hashQuery, keysAre } from './verify.ts'

/** As a rule only what came in between the pass before and the fence. */
const NOTES_MAX = 200
/** Of a row's text: it passes through the mover's memory. */
const ROW_BYTES_MAX = 64 * 1024

/** What the pass before has found and done: a guess for tables, which makes this one shorter, and the truth for sequences. */
export interface PassBefore {
  readonly tables: readonly string[]
  /** As far as the target has been brought. */
  readonly sequences: ReadonlyMap<string, SequenceValue>
}

/**
 * The last pass of a cut-over, the sequences, and the comparison of what it brought, in three round trips, because the tenant
 * is waiting: read at the source, written and committed at the target, compared at both. To plan a query takes longer than to
 * run it, so at once only those tables are read that had notes in the pass before; another's rows are a fourth round trip. The
 * rows travel as text in statements, as in a dump, and not as a stream. To be called under the fence, when all that was noted
 * before has been compared.
 *
 * @returns how many rows were compared; null where there are too many or too large ones for it, or rows may not be put in
 *   like this: then nothing was changed
 * @throws Differs
 */
export async function lastPass(
  source: Side,
  target: Side,
  tables: readonly RoomTable[],
  sequences: readonly RoomSequence[],
  before: PassBefore,
): Promise<number | null> {
  if (await isConsiderate(target)) return null
  const [from, to] = await Promise.all([source.client(), target.client()])
  const give = async () => {
    await from.script('rollback')
    return null
  }
  try {
    const [expected, others] = [
      tables.filter((t) => before.tables.includes(t.name)),
      tables.filter((t) => !before.tables.includes(t.name)),
    ]
    const reading = [notedQuery(source), ...expected.map((t) => rowsQuery(source, t))]
    const ids = sequences.length === 0 ? [] : ['reset role', valuesQuery(source, sequences), AS_MOVER]
    const results = await from.texts(
      `${beginRead(source)}; set local synchronous_commit = off; ${[...reading, ...ids].join(';')}`,
    )
    const read = results.slice(-reading.length - ids.length)
    const notes = read[0]!
    if (notes.length > NOTES_MAX) return await give()
    const rowsOf = new Map(expected.map((t, i) => [t, read[i + 1]!]))
    const missed = others.filter((t) => notes.some(([name]) => name === t.name))
    if (missed.length > 0) {
      const rest = await from.texts(missed.map((t) => rowsQuery(source, t)).join(';'))
      for (const [i, table] of missed.entries()) rowsOf.set(table, rest[i]!)
    }
    const touched: Touched[] = []
    for (const [table, rows] of rowsOf) {
      const keys = notes.filter(([name]) => name === table.name).map(([, key]) => key!)
      if (rows.some(([fits]) => fits !== 't')) return await give()
      if (keys.length > 0) touched.push({ table, noted: keys.length, keys: quoteLiteral(`[${keys.join(',')}]`), rows })
    }
    // What is noted is brought, or not forgotten.
    if (touched.reduce((sum, t) => sum + t.noted, 0) < notes.length)
      throw new Error('a table was noted that is not known')
    const values = ids.length === 0 ? new Map<string, SequenceValue>() : valuesFrom(read.at(-2)!)
    const drawn = sequences.filter(({ name }) => !isSame(values.get(name)!, before.sequences.get(name)))
    const continued = drawn.length === 0 ? '' : continuing(target, drawn, values)
    await to.atomically(`${beginWrite(target)}; ${continued} ${AS_MOVER};
      ${touched.map((t) => removal(target, t)).join('\n')}
      ${touched.map((t) => insertion(target, t)).join('\n')}
      reset role; commit`)
    const hashes = (side: Side) =>
      touched.map(({ table, keys }) => `${hashQuery(table, keysAre(side, table, keys))};`).join('\n')
    const forget = notes.length === 0 ? '' : `delete from tenancy.notes where tenant_id = '${source.tenant}';`
    const [here, there] = await Promise.all([
      from.texts(`${hashes(source)} ${forget} commit`),
      touched.length === 0 ? [] : to.texts(`${beginRead(target)}; ${hashes(target)} commit`),
    ])
    const compared = (results: Texts[], after: number) => results.slice(-touched.length - after, -after)
    const [ours, theirs] = [compared(here, forget === '' ? 1 : 2), compared(there, 1)]
    const different = touched.filter((_, i) => ours[i]!.join() !== theirs[i]!.join())
    if (different.length > 0) throw new Differs(different.map(({ table }) => changed(table)))
    return notes.length
  } catch (error) {
    await from.script('rollback').catch(() => {})
    throw error
  }
}

function valuesFrom(read: Texts): Map<string, SequenceValue> {
  return new Map(read.map(([name, last, called]) => [name!, { last: last!, called: called === 't' }]))
}

function isSame(a: SequenceValue, b: SequenceValue | undefined): boolean {
  return a.last === b?.last && a.called === b.called
}

interface Touched {
  readonly table: RoomTable
  readonly noted: number
  /** A JSON array, quoted. */
  readonly keys: string
  /** As they are at the source, after whether they are small enough. */
  readonly rows: Texts
}

function noted(source: Side): string {
  return `(select distinct table_name, key from tenancy.notes where tenant_id = '${source.tenant}' limit ${NOTES_MAX + 1})`
}

function notedQuery(source: Side): string {
  return `select table_name, key::text from ${noted(source)} n`
}

function rowsQuery(source: Side, table: RoomTable): string {
  const columns = table.columns.filter((c) => !c.generated).map((c) => `t.${quoteIdent(c.name)}`)
  return `select fits, ${columns.map((c) => `case when fits then ${c} end`).join(', ')}
    from ${noted(source)} n cross join lateral ${rowOf(source, table, 'n.key')} t
    cross join lateral (select octet_length(row(${columns.join(', ')})::text) <= ${ROW_BYTES_MAX} as fits) size
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
    ([, ...row]) => `(${row.map((text) => (text === null ? 'null' : quoteLiteral(text))).join(', ')})`,
  )
  return `insert into ${target.table(table.name)} (${copiedColumns(table)}) overriding system value values ${values.join(', ')};`
}
