import type { MigrationFile } from '../migrate/files.ts'
import { quoteIdent } from '../quote.ts'
import type { TenantId } from '../types.ts'
import { asTenant } from './as-tenant.ts'
import { type Catalogue, fingerprintOf, type RoomTable, sequencesOf } from './catalogue.ts'
import type { MoverClient } from './mover-client.ts'
import type { Refusal } from './plan.ts'
import { valuesOf } from './sequences.ts'
import type { Side } from './side.ts'

/** What a room and its rows must be like to be moved, beside what every migration is refused for (`migrate/faults.ts`). */

/** Of a table; `doctor` looks for it in every room. */
export const NOT_CAPTURED = 'has no capture triggers that always fire'

/** Types whose values survive being a note's key: written as JSON and read back they are the same. */
const KEY_TYPES =
  /^(smallint|integer|bigint|text|character varying.*|character\(.*|uuid|boolean|date|timestamp.*|numeric.*|bytea|oid)$/

/** What a type is made of, where it is a domain. */
const BASE_TYPES = `
  with recursive bases as (
    select name, name::regtype::oid as type, null::int as modifier from unnest($1::text[]) name
    union all
    select b.name, t.typbasetype, t.typtypmod from bases b join pg_type t on t.oid = b.type and t.typtype = 'd'
  )
  select b.name, case when b.modifier is null then b.name else format_type(b.type, b.modifier) end as base, t.typtype as kind
  from bases b join pg_type t on t.oid = b.type and t.typtype <> 'd'`

/**
 * Of the application's own types: ranges are written as the session of whoever changes a row likes its dates, arrays and
 * composite types as JSON, which they do not read, and of two texts of a citext only one is the row's.
 */
function isExact({ base, kind }: { base: string; kind: string }): boolean {
  return base.includes('.') && !/\.citext$/.test(base) && !['r', 'm', 'c'].includes(kind)
}

/** A row whose key went from one spelling to another would be noted as two that both name it. */
const LOOSE_KEYS = `
  select c.relname || '.' || a.attname as object, l.collname as collation
  from pg_class c join pg_index i on i.indrelid = c.oid and i.indisprimary
  cross join unnest(i.indkey::int2[]) with ordinality k(number, place)
  join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
  join pg_collation l on l.oid = a.attcollation and not l.collisdeterministic
  where c.relnamespace = (select oid from pg_namespace where nspname = $1) and c.relname = any ($2) and k.place <= i.indnkeyatts
  order by 1`

export async function tableFaults(client: Catalogue, room: string, tables: readonly RoomTable[]): Promise<Refusal[]> {
  const faults: Refusal[] = []
  const types = await client.query<{ name: string; base: string; kind: string }>(BASE_TYPES, [
    [...new Set(tables.flatMap((t) => t.key.map((c) => c.type)))],
  ])
  const survives = new Set(
    types.filter((t) => !t.base.endsWith('[]') && (KEY_TYPES.test(t.base) || isExact(t))).map((t) => t.name),
  )
  for (const table of tables) {
    const odd = table.key.find((c) => !survives.has(c.type))
    if (odd !== undefined) {
      faults.push({
        object: `${table.name}.${odd.name}`,
        fault: `a key of type ${odd.type} cannot be noted exactly`,
        fix: 'Use a key of integers, text, uuid, dates or numeric.',
      })
    }
  }
  const loose = await client.query<{ object: string; collation: string }>(LOOSE_KEYS, [room, tables.map((t) => t.name)])
  for (const { object, collation } of loose) {
    faults.push({
      object,
      fault: `a key under ${collation} cannot be noted exactly: it takes different texts for the same`,
      fix: 'Give the key a deterministic collation.',
    })
  }
  const found = await client.query<{
    name: string
    kind: string
    captured: boolean
    keyed: boolean
    inherited: boolean
  }>(
    `select c.relname as name, c.relkind as kind,
       (select count(*) = 3 from pg_trigger t where t.tgrelid = c.oid and t.tgname like 'innkeeper\\_capture\\_%' and t.tgenabled = 'A') as captured,
       exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) as keyed,
       exists (select from pg_inherits h where c.oid in (h.inhparent, h.inhrelid)) as inherited
     from pg_class c where c.relnamespace = (select oid from pg_namespace where nspname = $1) and c.relkind in ('r', 'p')
       and not c.relispartition and c.relname = any ($2) order by 1`,
    [room, tables.map((t) => t.name)],
  )
  for (const { name, kind, captured, keyed, inherited } of found) {
    if (kind === 'p') {
      faults.push({ object: name, fault: 'is partitioned', fix: 'Partitioned tables cannot be moved yet.' })
      continue
    }
    if (inherited) {
      // A row would be copied with the table that it is in and with the one above, and a change through that noted there only.
      faults.push({ object: name, fault: 'inherits, or is inherited from', fix: 'Give each table columns of its own.' })
    }
    if (keyed && !captured) {
      faults.push({
        object: name,
        fault: NOT_CAPTURED,
        fix: 'The room was made by an older version: let a migration run over it.',
      })
    }
  }
  return faults
}

export async function migrationFaults(
  client: MoverClient,
  room: string,
  files: readonly MigrationFile[],
  which: string,
): Promise<Refusal[]> {
  const rows = await client.query<{ name: string; checksum: string }>(
    'select name, checksum from tenancy.migrations where room = $1',
    [room],
  )
  const applied = new Map(rows.map((r) => [r.name, r.checksum]))
  const missing = files.filter((f) => applied.get(f.name) !== f.checksum).map((f) => f.name)
  const unknown = rows.filter((r) => !files.some((f) => f.name === r.name)).map((r) => r.name)
  return [...missing, ...unknown].map((name) => ({
    object: name,
    fault: `the ${which} room and the migrations folder differ about it`,
    fix: 'Run `innkeeper migrate` first, with the newest files.',
  }))
}

/** By the catalogue and not by the list of files: somebody may have changed a table by hand. */
export async function shapeFaults(
  here: MoverClient,
  room: string,
  there: MoverClient,
  other: string,
): Promise<Refusal[]> {
  const [a, b] = [await fingerprintOf(here, room), await fingerprintOf(there, other)]
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((table) => a.get(table) !== b.get(table))
    .map((table) => ({
      object: table,
      fault: 'is not the same table on both sides',
      fix: 'Bring both rooms to the same migration.',
    }))
}

export async function leftoverFaults(client: MoverClient, tenant: TenantId): Promise<Refusal[]> {
  const [row] = await client.query<{ fence: boolean; move: boolean }>(
    `select exists (select from tenancy.fence where tenant_id = $1) as fence,
       exists (select from tenancy.moves where tenant_id = $1) as move`,
    [tenant],
  )
  if (!row!.fence && !row!.move) return []
  return [{ object: 'target', fault: 'holds something of this tenant already', fix: 'Complete the move that left it.' }]
}

/**
 * In the pool everybody draws from one sequence: a tenant's huge value would take the numbers from all of them, and one
 * that the tenant's ids are ahead of would, sooner than at home, give it an id that it has.
 */
export async function idFaults(client: MoverClient, source: Side): Promise<Refusal[]> {
  const sequences = await sequencesOf(client, source.placement.schema)
  if (sequences.length === 0) return []
  const largestIds = new Map<string, bigint>()
  await asTenant(source, async (rows) => {
    for (const { name, table, column } of sequences) {
      const [row] = await rows.query<{ largest: string | null }>(
        `select max(${quoteIdent(column)})::text as largest from ${source.table(table)} where tenant_id = $1`,
        [source.tenant],
      )
      largestIds.set(name, BigInt(row!.largest ?? 0))
    }
  })
  // After the ids, because the tenant writes on meanwhile: a sequence is ahead of every id that was drawn from it.
  const values = await valuesOf(client, source, sequences)
  const faults: Refusal[] = []
  for (const { name, table, column, max } of sequences) {
    const [last, largest] = [BigInt(values.get(name)!.last), largestIds.get(name)!]
    if (largest > last) {
      faults.push({
        object: `${table}.${column}`,
        fault: `holds the id ${largest}, ahead of its sequence at ${last}: ids drawn in the pool would collide with it`,
        fix: `Set the sequence ${name} of the room to the largest id.`,
      })
    } else if (last > BigInt(max) / 2n) {
      faults.push({
        object: name,
        fault: 'has used more than half of its numbers, which would be lost to all tenants of the pool',
        fix: 'Use bigint for the identity column.',
      })
    }
  }
  return faults
}
