import { NOT_CAPTURED } from '../../../tiers/move/preflight-rows.ts'
import type { AdminSql } from '../../../tiers/pg/admin.ts'
import type { Finding } from './database.ts'

/**
 * Triggers of rooms that do not fire: those that note changes for a move, those that constraints are kept by, the application's
 * own, which a migration may have meant.
 */
export async function silentTriggers(
  sql: AdminSql,
  rooms: readonly string[],
  references: readonly string[],
): Promise<Finding[]> {
  return sql<Finding[]>`
    with tables as (
      select c.oid, format('%s.%s', n.nspname, c.relname) as name,
        not c.relispartition and c.relname <> all (${[...references]})
          and exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) as noted
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any(${[...rooms]}) and c.relkind in ('r', 'p')
    )
    select 'movable' as kind, false as "isFatal", format('%s %s', name, ${NOT_CAPTURED}::text) as message
    from tables where noted and (
      select count(*) from pg_trigger t
      where t.tgrelid = tables.oid and t.tgname like 'innkeeper\\_capture\\_%' and t.tgenabled = 'A') < 3
    union all
    select distinct 'triggers', t.tgisinternal, case when t.tgisinternal then format('%s has a constraint that is not looked at: %s', name, k.conname)
      else format('%s has a trigger that does not fire: %s', name, t.tgname) end
    from tables join pg_trigger t on t.tgrelid = tables.oid left join pg_constraint k on k.oid = t.tgconstraint
    where t.tgenabled in ('D', 'R') and t.tgname not like 'innkeeper\\_capture\\_%'
    order by 3`
}
