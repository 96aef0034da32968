import { expect } from 'vitest'
import type { MoveContext } from '../../../tiers/move/context.ts'
import { withAdmin } from '../../../tiers/pg/admin.ts'
import { quoteIdent } from '../../../tiers/quote.ts'
import type { Placement, TenantId } from '../../../tiers/types.ts'

/** Of every table of a room: how many rows the tenant has, and a hash of all of them as the server writes them. */
export async function fingerprint(adminUrl: string, room: Placement, tenant: TenantId) {
  return withAdmin(adminUrl, room.database, {}, async (sql) => {
    const tables = await sql<{ name: string }[]>`
      select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
      where c.relnamespace = ${room.schema}::regnamespace and c.relkind = 'r' order by 1`
    const prints: Record<string, string> = {}
    for (const { name } of tables) {
      const table = `${quoteIdent(room.schema)}.${quoteIdent(name)}`
      const [row] = await sql.unsafe(
        `select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text collate "C")), '') as print
         from ${table} t where tenant_id = $1`,
        [tenant],
      )
      prints[name] = row!.print
    }
    return prints
  })
}

/**
 * Both rooms of a move hold the same rows, by a look of its own that shares nothing with how the mover compares. For the
 * hook at `compared`, when the tenant is shut out of both.
 */
export async function expectSameRows({ move, source, target }: MoveContext): Promise<void> {
  const [here, there] = await Promise.all(
    [source, target].map((s) => fingerprint(s.cluster.adminUrl!, s.placement, move.tenantId)),
  )
  expect(Object.keys(here!).length).toBeGreaterThan(0)
  expect(there).toEqual(here)
}
