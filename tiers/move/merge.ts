import { quoteIdent, quoteLiteral } from '../quote.ts'
import { rowOf } from './apply.ts'
import type { RoomTable } from './catalogue.ts'
import type { MoverClient } from './mover-client.ts'
import { AS_MOVER, beginBooks, type Side } from './side.ts'
import { copiedColumns, KEYS, stageOf } from './staging.ts'

/** Rounds after which rows that act on each other are given up: each settles one more link of a chain. */
const ROUNDS_MAX = 20
/** A unique key that has gone from one row to another, or a row that others restrict: then all noted rows make way first. */
const IN_THE_WAY = ['23505', '23503', '23001']

/**
 * Brings noted rows into the pool where foreign keys and their cascades act on them. Rows are changed in place, so that nothing
 * cascades from them as from a removal. What an action of a foreign key has changed of a row that was put right before is put
 * right in another round.
 *
 * @param fetch brings rows of the source, by their keys, into their tables' stages
 */
export async function merge(
  to: MoverClient,
  target: Side,
  tables: readonly RoomTable[],
  touched: readonly RoomTable[],
  fetch: Fetch,
): Promise<void> {
  await to.script('set constraints all deferred; savepoint merging')
  try {
    await changeInPlace(to, target, touched)
    await to.script('release savepoint merging')
  } catch (error) {
    if (!IN_THE_WAY.includes((error as { code?: string }).code ?? '')) throw error
    await to.script('rollback to savepoint merging')
    await replace(to, target, tables, touched, fetch)
  }
}

/** @param keys a JSON array, as text: its numbers may be larger than JavaScript's */
export type Fetch = (table: RoomTable, keys: string) => Promise<void>

/**
 * First what is there at the source, then the removal of what is not. In that order no row that stays leans on one that goes
 * when it goes: the other way round a key that was changed would take a whole tree of rows with it, most of which nobody noted.
 */
async function changeInPlace(to: MoverClient, target: Side, touched: readonly RoomTable[]): Promise<void> {
  await to.script(AS_MOVER)
  for (let round = 0; ; round++) {
    let changed = 0
    for (const table of touched) {
      const [row] = await to.query<{ n: number }>(
        `with done as (${upsert(target, table)} returning 1) select count(*)::int as n from done`,
      )
      changed += row!.n
    }
    if (changed === 0) break
    if (round === ROUNDS_MAX) throw new Error('rows of the pool change each other without an end')
  }
  const gone = touched.map((t) =>
    removal(target, t, `and not exists (select from ${stageOf(t)} s where ${sameKey(t)})`),
  )
  await to.script(`${gone.join('\n')} reset role`)
}

function upsert(target: Side, table: RoomTable): string {
  const keys = ['tenant_id', ...table.key.map((c) => c.name)]
  const rest = table.columns
    .filter((c) => !c.generated && !c.identityAlways && !keys.includes(c.name))
    .map((c) => quoteIdent(c.name))
  const insert = `insert into ${target.table(table.name)} as t (${copiedColumns(table)}) overriding system value
    select ${copiedColumns(table)} from ${stageOf(table)} on conflict (${keys.map(quoteIdent).join(', ')})`
  if (rest.length === 0) return `${insert} do nothing`
  const of = (what: string) => `row(${rest.map((c) => `${what}.${c}`).join(', ')})`
  // As text, because not every type can be compared.
  return `${insert} do update set (${rest.join(', ')}) = ${of('excluded')} where ${of('t')}::text <> ${of('excluded')}::text`
}

function removal(target: Side, table: RoomTable, only: string): string {
  return `delete from ${target.table(table.name)} d using (
      select t.place from ${KEYS} k cross join lateral ${rowOf(target, table, 'k.key', 'r.ctid as place')} t
      where k.table_name = ${quoteLiteral(table.name)} ${only}) old
    where d.ctid = old.place;`
}

function sameKey(table: RoomTable): string {
  return [
    'true',
    ...table.key.map((c) => `s.${quoteIdent(c.name)} = (k.key ->> ${quoteLiteral(c.name)})::${c.type}`),
  ].join(' and ')
}

/**
 * All noted rows go before any comes. What cascades from that is seen by the capture triggers, and those rows are brought
 * from the source as well, until nothing more cascades.
 */
async function replace(
  to: MoverClient,
  target: Side,
  tables: readonly RoomTable[],
  touched: readonly RoomTable[],
  fetch: Fetch,
): Promise<void> {
  const tenant = `tenant_id = '${target.tenant}'`
  const all = new Set(touched)
  const fences = await to.query(`select from tenancy.fence where ${tenant}`)
  await to.script(`insert into tenancy.fence (tenant_id, epoch, state, capture, room)
    values ('${target.tenant}', 1, 'fenced', true, ${quoteLiteral(target.placement.schema)})
    on conflict (tenant_id) do update set capture = true`)
  for (;;) {
    await to.script(`${AS_MOVER}; ${[...all].map((t) => removal(target, t, '')).join('\n')} reset role`)
    const found = await to.query<{ table_name: string; keys: string }>(
      `with noted as (delete from tenancy.notes where ${tenant} returning table_name, key),
       more as (insert into ${KEYS} select distinct n.table_name, n.key from noted n
         where not exists (select from ${KEYS} k where k.table_name = n.table_name and k.key = n.key) returning table_name, key)
       select table_name, json_agg(key)::text as keys from more group by 1`,
    )
    if (found.length === 0) break
    for (const { table_name, keys } of found) {
      const table = tables.find((t) => t.name === table_name)!
      all.add(table)
      await fetch(table, keys)
    }
  }
  // Off before the rows come: of them nothing needs to be noted.
  await to.script(
    fences.length === 0
      ? `delete from tenancy.fence where ${tenant}`
      : `update tenancy.fence set capture = false where ${tenant}`,
  )
  await to.script(
    `${AS_MOVER}; ${[...all]
      .map(
        (t) => `insert into ${target.table(t.name)} (${copiedColumns(t)}) overriding system value
        select ${copiedColumns(t)} from ${stageOf(t)};`,
      )
      .join('\n')} reset role`,
  )
}

/** Removes the tenant's rows from the pool, where foreign keys act. In rounds: a row that others restrict goes after them. */
export async function removeInPool(side: Side, tables: readonly string[]): Promise<void> {
  const client = await side.client()
  await client.transaction(beginBooks(side), async () => {
    await client.script(`set constraints all deferred; ${AS_MOVER}`)
    for (let left = [...tables]; left.length > 0; ) {
      const blocked: string[] = []
      for (const table of left) {
        await client.script('savepoint removing')
        try {
          await client.script(`delete from ${side.table(table)} where tenant_id = '${side.tenant}'`)
        } catch (error) {
          if (!IN_THE_WAY.includes((error as { code?: string }).code ?? '')) throw error
          await client.script('rollback to savepoint removing')
          blocked.push(table)
        }
      }
      if (blocked.length === left.length)
        throw new Error(`rows of ${blocked.join(', ')} restrict each other in a circle`)
      left = blocked
    }
    await client.script('reset role')
  })
}
