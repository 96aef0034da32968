import { quoteIdent } from '../quote.ts'
import type { RoomTable } from './catalogue.ts'
import type { Refusal } from './plan.ts'
import type { Side } from './side.ts'

const FIX = `The room was made by an older version: let a migration run over it; or let a superuser run
  GRANT SET ON PARAMETER session_replication_role TO the admin role.`.replace(/\s+/g, ' ')

/** What rows that come into the pool need where nothing there can be silenced; also those that come back. */
export async function poolFaults(side: Side, tables: readonly RoomTable[]): Promise<Refusal[]> {
  if (await side.maySilence()) return []
  const client = await side.client()
  const found = await client.query<{ object: string; fault: string }>(
    `with tables as (select oid, relname from pg_class where relnamespace = $1::text::regnamespace and relname = any($2))
     select t.relname || '.' || k.conname as object, 'the foreign key is not deferrable' as fault
     from tables t join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' and not k.condeferrable
     union all select t.relname || '.' || g.tgname, 'the trigger would fire for rows that a move brings'
     from tables t join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal and g.tgname not like 'innkeeper\\_capture\\_%'
       and g.tgenabled <> 'D' and strpos(pg_get_triggerdef(g.oid), 'tenancy.applying()') = 0
     union all select relname, 'the mover may not change its rows' from tables
     where not has_table_privilege('innkeeper_mover', oid, 'update') order by 1`,
    [quoteIdent(side.placement.schema), tables.map((t) => t.name)],
  )
  return found.map((f) => ({ ...f, fix: FIX }))
}
