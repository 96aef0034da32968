import type { AdminSql } from '../../../tiers/pg/admin.ts'

/** All that a room's tables have, as text without the room's own name: to be compared with another room's. */
export async function shapeOf(sql: AdminSql, room: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    with tables as (
      select oid, relname, relrowsecurity, relforcerowsecurity from pg_class
      where relnamespace = ${room}::regnamespace and relkind = 'r'
    )
    select format('%s rls %s %s', relname, relrowsecurity, relforcerowsecurity) as line from tables
    union all select format('%s %s %s %s', relname, k.conname, k.convalidated, pg_get_constraintdef(k.oid))
      from tables join pg_constraint k on k.conrelid = tables.oid
    union all select format('%s %s %s', relname, i.indisvalid, pg_get_indexdef(i.indexrelid))
      from tables join pg_index i on i.indrelid = tables.oid
    union all select format('%s %s %s', relname, t.tgenabled, pg_get_triggerdef(t.oid))
      from tables join pg_trigger t on t.tgrelid = tables.oid and not t.tgisinternal
    union all select format('%s %s %s %s', relname, p.polname, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid))
      from tables join pg_policy p on p.polrelid = tables.oid
    union all select format('%s %s', relname, acl) from tables join pg_class c using (relname), unnest(c.relacl) acl
      where c.relnamespace = ${room}::regnamespace
    union all select format('missing %s', count(*)) from tenancy.room_parts where room = ${room}
    order by 1`
  return rows.map((r) => r.line.replaceAll(room, 'room'))
}
