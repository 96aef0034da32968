import { quoteIdent, quoteLiteral } from '../quote.ts'
import { OWNER } from '../tenancy/roles.ts'
import type { Paced } from './pacer.ts'
import { beginBooks, type Side } from './side.ts'

/**
 * What is taken away from a room of the tenant's own while nobody is in it, and put back:
 *
 *   key         primary keys, put back when a table's rows are there
 *   index       all other keys and indexes, when the room equals a snapshot of the source for the first time
 *   capture     the triggers that note changes
 *   reference   foreign keys, put back without a look at the rows
 *   trigger     the application's triggers
 *   validation  the look at the rows
 *   force       row-level security for the owner too: while it is off the owner, and nobody else, may COPY into the room
 */
export type Phase = 'key' | 'index' | 'capture' | 'reference' | 'trigger' | 'validation' | 'force'

/** What makes a room slow to load: all of it. */
export const LOADING: readonly Phase[] = ['key', 'index', 'capture', 'reference', 'trigger', 'validation', 'force']
/** What would act on rows that a pass puts in. */
export const ACTING: readonly Phase[] = ['reference', 'trigger', 'validation', 'force']

const LIVE_LOCK_MS = 100
/** PostgreSQL's code for a lock that did not come in time. */
const LOCK_TIMEOUT = '55P03'

interface Part {
  readonly phase: Phase
  readonly table_name: string
  readonly name: string
  /** How it is taken away; null where that comes with another part. */
  readonly without: string | null
  readonly statement: string
}

/**
 * Takes away, in one transaction, what the phases name and the room still has, and writes down how it is put back.
 * Idempotent. Row-level security stays on all the time: only the room's owner is let past it.
 *
 * To be called for a room of the tenant's own that is shut.
 */
export async function takeParts(side: Side, phases: readonly Phase[]): Promise<void> {
  const client = await side.client()
  const parts = (await client.query<Part & Record<string, unknown>>(PARTS, [quoteIdent(side.placement.schema)])).filter(
    (p) => phases.includes(p.phase),
  )
  if (parts.length === 0) return
  await client.transaction(beginBooks(side), async () => {
    await client.query(
      `insert into tenancy.room_parts (room, phase, table_name, name, statement)
       select $1, p.phase, p.table_name, p.name, p.statement
       from json_to_recordset($2) p (phase text, table_name text, name text, statement text)
       on conflict (room, phase, table_name, name) do update set statement = excluded.statement`,
      [side.placement.schema, JSON.stringify(parts)],
    )
    await client.script(
      `set local role ${OWNER}; ${parts.map((p) => (p.without === null ? '' : `${p.without};`)).join('\n')} reset role`,
    )
  })
}

/**
 * Puts back what is missing of these phases, in their order, one transaction each. Idempotent.
 *
 * @param paced runs each in its turn @returns how many
 */
export async function returnParts(side: Side, phases: readonly Phase[], paced: Paced): Promise<number> {
  const client = await side.client()
  const parts = await missing(side, phases)
  for (const part of parts) {
    await paced((speed) => client.transaction(beginMaking(side, speed), () => client.script(returning(side, [part]))))
  }
  return parts.length
}

/**
 * For making keys and indexes. Who is held back makes them without helpers, each of which would take a processor from the
 * server's other tenants.
 *
 * @param speed as a part of the full one: over 0, up to 1
 */
export function beginMaking(side: Side, speed: number): string {
  return `${beginBooks(side)} ${speed < 1 ? 'set local max_parallel_maintenance_workers = 0' : ''}`
}

/** The same in one transaction, for the pause of the cut-over: to be called for what looks at no rows. */
export async function returnPartsAtOnce(side: Side, phases: readonly Phase[]): Promise<void> {
  const parts = await missing(side, phases)
  if (parts.length === 0) return
  const client = await side.client()
  await client.atomically(`${beginBooks(side)} ${returning(side, parts)} commit`)
}

/** The same in a room that is being served: it waits for no lock. @returns false where something could not be had yet */
export async function returnPartsLive(side: Side, phases: readonly Phase[]): Promise<boolean> {
  const client = await side.client()
  for (const part of await missing(side, phases)) {
    try {
      await client.transaction(`${beginBooks(side)} set local lock_timeout = ${LIVE_LOCK_MS}`, () =>
        client.script(returning(side, [part])),
      )
    } catch (error) {
      if ((error as { code?: string }).code === LOCK_TIMEOUT) return false
      throw error
    }
  }
  return true
}

export interface Missing {
  readonly phase: Phase
  readonly table_name: string
  readonly name: string
  readonly statement: string
}

/** In the order of the phases. */
export async function missing(side: Side, phases: readonly Phase[]): Promise<Missing[]> {
  if (side.placement.isolation === 'shared') return []
  const client = await side.client()
  return client.query<Missing & Record<string, unknown>>(
    'select phase, table_name, name, statement from tenancy.room_parts where room = $1 and phase = any ($2) order by array_position($2, phase), 2, 3',
    [side.placement.schema, [...phases]],
  )
}

/** Statements for a transaction of the mover's: the parts as the room's owner, and that they are there again. */
export function returning(side: Side, parts: readonly Missing[]): string {
  return `set local role ${OWNER};
    ${parts.map((p) => `${p.statement};`).join('\n')}
    reset role;
    ${parts
      .map(
        (
          p,
        ) => `delete from tenancy.room_parts where room = ${quoteLiteral(side.placement.schema)} and phase = ${quoteLiteral(p.phase)}
          and table_name = ${quoteLiteral(p.table_name)} and name = ${quoteLiteral(p.name)};`,
      )
      .join('\n')}`
}

/**
 * What the tables with tenants' rows have, by what it is. In the order in which it may be taken away: a key goes after the
 * foreign keys that lean on it. A table whose key a view leans on keeps its keys.
 *
 * An index is made anew by its own definition, and becomes a constraint after that: so its options are not lost. Not where it
 * excludes, also as WITHOUT OVERLAPS: only the constraint can be made then. Comments and targets of statistics go with it.
 */
const PARTS = `
  with tables as (
    select c.oid, c.relname, c.relnamespace, c.relforcerowsecurity, c.oid::regclass::text as qualified from pg_class c
    where c.relnamespace = $1::text::regnamespace and c.relkind = 'r'
      and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
  ), leaned as (
    select k.conrelid as oid from pg_depend d join pg_constraint k on k.oid = d.refobjid
    where d.refclassid = 'pg_constraint'::regclass and d.classid in ('pg_rewrite'::regclass, 'pg_proc'::regclass)
  ), indexes as (
    select t.*, i.indexrelid, i.indisprimary, i.indisexclusion, pg_get_indexdef(i.indexrelid) as made, k.conname, k.contype, k.condeferrable,
      k.condeferred, pg_get_constraintdef(k.oid) as def, x.relname as index_name,
      format('%I.%I', n.nspname, x.relname) as index_qualified,
      case when i.indisreplident then format('; alter table %s replica identity using index %I', t.qualified, x.relname) else '' end
      || case when i.indisclustered then format('; alter table %s cluster on %I', t.qualified, x.relname) else '' end
      || coalesce('; comment on index ' || x.oid::regclass || ' is ' || quote_literal(obj_description(x.oid, 'pg_class')), '')
      || coalesce('; comment on constraint ' || quote_ident(k.conname) || ' on ' || t.qualified || ' is '
        || quote_literal(obj_description(k.oid, 'pg_constraint')), '')
      || coalesce((select string_agg(format('; alter index %I.%I alter column %s set statistics %s', n.nspname, x.relname, a.attnum,
        a.attstattarget), '') from pg_attribute a where a.attrelid = x.oid and a.attstattarget >= 0), '') as marks
    from tables t join pg_index i on i.indrelid = t.oid join pg_class x on x.oid = i.indexrelid
    join pg_namespace n on n.oid = x.relnamespace
    left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
    where t.oid not in (select oid from leaned)
  )
  select 1 as place, 'reference' as phase, t.relname as table_name, k.conname as name,
    format('alter table %s drop constraint %I', t.qualified, k.conname) as without,
    format('alter table %s add constraint %I %s not valid', t.qualified, k.conname,
      regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''))
      || coalesce('; comment on constraint ' || quote_ident(k.conname) || ' on ' || t.qualified || ' is '
        || quote_literal(obj_description(k.oid, 'pg_constraint')), '') as statement
  from tables t join pg_constraint k on k.conrelid = t.oid and k.contype = 'f'
  union all
  select 1, 'validation', t.relname, k.conname, null, format('alter table %s validate constraint %I', t.qualified, k.conname)
  from tables t join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' and k.convalidated
  union all
  select 2, case when t.tgname like 'innkeeper\\_capture\\_%' then 'capture' else 'trigger' end, o.relname, t.tgname,
    format('alter table %s disable trigger %I', o.qualified, t.tgname),
    format('alter table %s enable %s trigger %I', o.qualified,
      case t.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end, t.tgname)
  from tables o join pg_trigger t on t.tgrelid = o.oid and not t.tgisinternal and t.tgenabled <> 'D'
  union all
  select 3, case when indisprimary then 'key' else 'index' end, relname, index_name,
    case when conname is null then format('drop index %s', index_qualified)
      else format('alter table %s drop constraint %I', qualified, conname) end,
    case when conname is null then made
      when indisexclusion then format('alter table %s add constraint %I %s', qualified, conname, def)
      else format('%s; alter table %s add constraint %I %s using index %I%s', made, qualified, conname,
        case contype when 'p' then 'primary key' else 'unique' end, index_name,
        case when condeferrable then ' deferrable' else '' end || case when condeferred then ' initially deferred' else '' end)
    end || marks
  from indexes
  union all
  select 4, 'force', relname, '', format('alter table %s no force row level security', qualified),
    format('alter table %s force row level security', qualified)
  from tables where relforcerowsecurity
  order by place, table_name, name`
