import type { AdminSql } from '../pg/admin.ts'

/**
 * What rows that a move brings into the pool need, where the mover is no superuser and others are being served: triggers of
 * the application that do not fire for them a second time, and foreign keys that wait for the end of the transaction, since
 * the rows come in no order. It changes nothing for tenants. To be called by the room's owner while the trigger functions
 * are still its own.
 */
export async function giveWayToMoves(tx: AdminSql, room: string): Promise<void> {
  const [found] = await tx<{ there: boolean }[]>`select to_regprocedure('tenancy.applying()') is not null as there`
  // A database that an older version has made takes its migrations all the same; a move into it says what is missing.
  if (!found!.there) return
  const keys = await tx<{ statement: string }[]>`
    select format('alter table %s alter constraint %I deferrable', conrelid::regclass, conname) as statement
    from pg_constraint where connamespace = ${room}::regnamespace and contype = 'f' and not condeferrable and conparentid = 0`
  const triggers = await tx<{ table: string; name: string; definition: string; call: string; enabled: string }[]>`
    -- In two steps, because pg_get_triggerdef locks the table of a trigger with a condition: of this room's only, or two
    -- rooms that migrate at once would wait for each other.
    with own as materialized (
      select t.oid, t.tgrelid, t.tgname, t.tgfoid, t.tgenabled from pg_trigger t join pg_class c on c.oid = t.tgrelid
      where c.relnamespace = ${room}::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and not t.tgisinternal
        and t.tgname not like 'innkeeper\\_capture\\_%'
    ), defined as materialized (
      select own.*, pg_get_triggerdef(own.oid) as definition from own
    )
    select d.tgrelid::regclass::text as table, quote_ident(d.tgname) as name, d.definition,
      format(' EXECUTE FUNCTION %s(', d.tgfoid::regproc) as call, d.tgenabled as enabled
    from defined d where strpos(d.definition, 'tenancy.applying()') = 0`
  const statements = [
    ...keys.map((k) => k.statement),
    ...triggers.flatMap(({ table, name, definition, call, enabled }) => [
      `drop trigger ${name} on ${table}`,
      conditional(definition, call),
      ...(enabled === 'O' ? [] : [`alter table ${table} ${STATES[enabled]} trigger ${name}`]),
    ]),
  ]
  if (statements.length > 0) await tx.unsafe(statements.join(';\n'))
}

const STATES: Readonly<Record<string, string>> = { A: 'enable always', R: 'enable replica', D: 'disable' }

/** The same trigger with one more condition. What the server writes ends with `[WHEN (…)] EXECUTE FUNCTION name(…)`. */
export function conditional(definition: string, call: string): string {
  const at = definition.lastIndexOf(call)
  if (at < 0) throw new Error(`not a trigger's definition: ${definition}`)
  const [head, tail] = [definition.slice(0, at), definition.slice(at)]
  const before = /^(.*?FOR EACH (?:ROW|STATEMENT)) WHEN \((.*)\)$/s.exec(head)
  const condition = before === null ? 'NOT tenancy.applying()' : `(${before[2]}) AND NOT tenancy.applying()`
  return `${before?.[1] ?? head} WHEN (${condition})${tail}`
}
