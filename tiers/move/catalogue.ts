import { quoteIdent } from '../quote.ts'
import type { MoverClient } from './mover-client.ts'

export interface Column {
  readonly name: string
  /** As in SQL text, with its schema where it is the application's own. */
  readonly type: string
  /** Computed by the server: compared, but not copied. */
  readonly generated: boolean
  /** GENERATED ALWAYS AS IDENTITY: it can be put in, but never changed. */
  readonly identityAlways: boolean
}

export interface RoomTable {
  readonly name: string
  readonly columns: readonly Column[]
  /** Of the primary key, without `tenant_id` and without what it only includes, which may be null. */
  readonly key: readonly Column[]
  /** By the planner's estimate, of all tenants in the table. */
  readonly rowBytes: number
}

export interface RoomSequence {
  readonly name: string
  readonly table: string
  readonly column: string
  readonly max: string
  readonly cache: string
}

/** Whoever can ask the catalogue of a room's database. */
export type Catalogue = Pick<MoverClient, 'query'>

interface Row {
  name: string
  columns: Column[] | null
  key: string[] | null
  row_bytes: number
}

/** The tables of a room that hold tenants' rows, by name: what a move copies, in the order of their names. */
export async function tablesOf(client: Catalogue, room: string): Promise<RoomTable[]> {
  const rows = await client.query<Row>(
    `select c.relname as name,
       (select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
           'generated', a.attgenerated <> '', 'identityAlways', a.attidentity = 'a') order by a.attnum)
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
       (select array_agg(a.attname::text order by k.place) from pg_index i
        cross join unnest(i.indkey::int2[]) with ordinality k(number, place)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
        where i.indrelid = c.oid and i.indisprimary and k.place <= i.indnkeyatts and a.attname <> 'tenant_id') as key,
       case when c.reltuples > 0 then pg_table_size(c.oid) / c.reltuples else 200 end::float8 as row_bytes
     from pg_class c
     where c.relnamespace = $1::text::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
     order by 1`,
    [quoteIdent(room)],
  )
  return rows.map(({ name, columns, key, row_bytes }) => {
    const all = columns ?? []
    const named = (column: string) => all.find((c) => c.name === column)!
    return { name, columns: all, key: (key ?? []).map(named), rowBytes: Math.max(32, row_bytes) }
  })
}

/** The sequences behind the identity columns of a room. */
export async function sequencesOf(client: MoverClient, room: string): Promise<RoomSequence[]> {
  return client.query<RoomSequence & Record<string, unknown>>(
    `select s.relname as name, t.relname as table, a.attname as column, q.seqmax::text as max, q.seqcache::text as cache
     from pg_class s join pg_depend d on d.objid = s.oid and d.classid = 'pg_class'::regclass and d.deptype = 'i'
     join pg_class t on t.oid = d.refobjid
     join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid join pg_sequence q on q.seqrelid = s.oid
     where s.relnamespace = $1::text::regnamespace and s.relkind = 'S' order by 1`,
    [quoteIdent(room)],
  )
}

/** What has to be the same on both sides before anything is copied, as text, with the room's own name taken out. */
export async function fingerprintOf(client: MoverClient, room: string): Promise<Map<string, string>> {
  const rows = await client.query<{ table: string; shape: string }>(
    `select c.relname as table, string_agg(format('%I %s%s%s%s', a.attname,
         replace(format_type(a.atttypid, a.atttypmod), $2, 'room.'), case when a.attnotnull then ' not null' else '' end,
         case when a.attgenerated <> '' then ' generated' else '' end, case when a.attidentity <> '' then ' identity' else '' end),
         ', ' order by a.attname) || coalesce((select '; key ' || replace(pg_get_constraintdef(k.oid), $2, '')
           from pg_constraint k where k.conrelid = c.oid and k.contype = 'p'), '; no key') as shape
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = $1::text::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
     group by c.oid, c.relname order by 1`,
    [quoteIdent(room), `${/^[a-z_][a-z0-9_]*$/.test(room) ? room : quoteIdent(room)}.`],
  )
  return new Map(rows.map((r) => [r.table, r.shape]))
}
