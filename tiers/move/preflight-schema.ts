import { quoteIdent } from '../quote.ts'
import { asTenant } from './as-tenant.ts'
import { type Catalogue, type RoomTable, tablesOf } from './catalogue.ts'
import type { MoverClient } from './mover-client.ts'
import type { Refusal } from './plan.ts'
import { tableFaults } from './preflight-rows.ts'
import type { Side } from './side.ts'

/** What a migration may make and a move cannot bring: found by the catalogue of the room, and by the tenant's rows. */

/**
 * What no move can bring, whatever rows there are, or not into the pool: for those who made the tables to know before a tenant is
 * to be moved.
 *
 * @param tables where they are known
 * @param isPool whether the room is to be the pool's; all that would stop some move, unless given
 */
export async function structureFaults(
  client: Catalogue,
  room: string,
  tables?: readonly RoomTable[],
  isPool = true,
): Promise<Refusal[]> {
  const known = tables ?? (await tablesOf(client, room))
  return [
    ...(await tableFaults(client, room, known)),
    ...(await countingFaults(client, room)),
    ...(await binaryFaults(client, room, known)),
    ...(await deferrableFaults(client, room, known, isPool)),
  ]
}

/**
 * Rows that are older than a rule which was added without a look at them. The new room has the rule before it has the rows,
 * and refuses them.
 */
export async function unprovenFaults(
  client: MoverClient,
  source: Side,
  tables: readonly RoomTable[],
): Promise<Refusal[]> {
  const names = tables.map((t) => t.name)
  const rules = await client.query<{ table: string; name: string; rule: string }>(
    `select c.relname as table, k.conname as name, case k.contype when 'c' then pg_get_expr(k.conbin, k.conrelid)
       else format('%I is not null', a.attname) end as rule
     from pg_constraint k join pg_class c on c.oid = k.conrelid
     left join pg_attribute a on a.attrelid = c.oid and a.attnum = k.conkey[1]
     where c.relnamespace = $1::text::regnamespace and c.relname = any ($2) and k.contype in ('c', 'n') and not k.convalidated
       and to_jsonb(k) ->> 'conenforced' is distinct from 'false'
     order by 1, 2`,
    [quoteIdent(source.placement.schema), names],
  )
  const faults: Refusal[] = []
  const look = async (rows: MoverClient) => {
    for (const { table, name, rule } of rules) {
      const [row] = await rows.query<{ broken: boolean }>(
        `select exists (select from ${source.table(table)} where tenant_id = $1 and not (${rule})) as broken`,
        [source.tenant],
      )
      if (!row!.broken) continue
      faults.push({
        object: `${table}.${name}`,
        fault: 'is NOT VALID, and rows of the tenant break it: the new room would refuse them',
        fix: 'Mend the rows, and VALIDATE the constraint.',
      })
    }
  }
  if (rules.length > 0) await asTenant(source, look)
  const domains = await client.query<{ column: string; name: string }>(
    `with recursive used as (
       select c.relname || '.' || a.attname as column, a.atttypid as type from pg_class c
       join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       where c.relnamespace = $1::text::regnamespace and c.relname = any ($2)
       union
       select u.column, inner_type from used u join pg_type t on t.oid = u.type
       left join pg_class c on c.oid = t.typrelid left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       cross join lateral (values (t.typbasetype), (t.typelem), (a.atttypid)) i (inner_type)
       where inner_type <> 0
     )
     select distinct u.column, k.conname as name from used u join pg_constraint k on k.contypid = u.type
     where not k.convalidated order by 1, 2`,
    [quoteIdent(source.placement.schema), names],
  )
  for (const { column, name } of domains) {
    faults.push({
      object: column,
      fault: `is of a domain whose constraint ${name} is NOT VALID: the new room would refuse rows that break it`,
      fix: 'Mend the rows, and VALIDATE the constraint.',
    })
  }
  return faults
}

/** Ids that do not only rise: which of two sequences is ahead cannot be told then. */
async function countingFaults(client: Catalogue, room: string): Promise<Refusal[]> {
  const sequences = await client.query<{ name: string; down: boolean }>(
    `select s.relname as name, q.seqincrement < 0 as down
     from pg_class s join pg_sequence q on q.seqrelid = s.oid
     join pg_depend d on d.objid = s.oid and d.classid = 'pg_class'::regclass and d.deptype = 'i'
     where s.relnamespace = $1::text::regnamespace and (q.seqincrement < 0 or q.seqcycle) order by 1`,
    [quoteIdent(room)],
  )
  return sequences.map(({ name, down }) => ({
    object: name,
    fault: `counts ${down ? 'down' : 'in a cycle'}: ids would be given twice at the new home`,
    fix: 'Let the identity column count up, with NO CYCLE.',
  }))
}

/**
 * A chunk's row that is in the way of another is left out where keys stand during the copy (`copy.ts`), which PostgreSQL does
 * not do for keys that are looked at later: in the pool, and in a table whose key a view leans on (`parts.ts`).
 */
async function deferrableFaults(
  client: Catalogue,
  room: string,
  tables: readonly RoomTable[],
  isPool: boolean,
): Promise<Refusal[]> {
  const keys = await client.query<{ table: string; name: string }>(
    `select c.relname as table, k.conname as name from pg_constraint k join pg_class c on c.oid = k.conrelid
     where c.relnamespace = $1::text::regnamespace and c.relname = any ($2) and k.contype in ('p', 'u', 'x') and k.condeferrable
       and ($3 or exists (select from pg_depend d join pg_constraint l on l.oid = d.refobjid
         where l.conrelid = c.oid and d.refclassid = 'pg_constraint'::regclass and d.classid in ('pg_rewrite'::regclass, 'pg_proc'::regclass)))
     order by 1, 2`,
    [quoteIdent(room), tables.map((t) => t.name), isPool],
  )
  return keys.map(({ table, name }) => ({
    object: `${table}.${name}`,
    fault: `is a deferrable key, ${isPool ? 'which rows cannot be brought to in the pool' : 'and a view leans on a key of the table'}`,
    fix: 'Make the key NOT DEFERRABLE.',
  }))
}

/** Types without a binary form, in which rows are copied. */
async function binaryFaults(client: Catalogue, room: string, tables: readonly RoomTable[]): Promise<Refusal[]> {
  const columns = await client.query<{ column: string; type: string }>(
    `select c.relname || '.' || a.attname as column, format_type(a.atttypid, a.atttypmod) as type
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     join pg_type t on t.oid = a.atttypid left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
     where c.relnamespace = $1::text::regnamespace and c.relname = any ($2)
       and (0 in (t.typsend, t.typreceive) or 0 in (e.typsend, e.typreceive)) order by 1`,
    [quoteIdent(room), tables.map((t) => t.name)],
  )
  return columns.map(({ column, type }) => ({
    object: column,
    fault: `is of type ${type}, which has no binary form to be copied in`,
    fix: 'Use another type, such as text.',
  }))
}
