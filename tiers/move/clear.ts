import type { MoveContext } from './context.ts'
import { closeRoom, inBooks } from './fence.ts'
import { forget } from './prepare.ts'
import { AS_MOVER, beginWrite, type Side } from './side.ts'

/** What is left in a room's database of a tenant. All zero where nothing is. */
export interface Left {
  readonly rows: number
  readonly notes: number
  readonly fence: number
}

/**
 * Removes a room that the tenant does not live in: its rows or its schema or its database, its fence, its notes, and the
 * move's own row. Idempotent, also where a part of it is gone.
 */
export async function clearRoom(ctx: MoveContext, side: Side): Promise<Left> {
  const maker = ctx.makerOf(side.placement.cluster)
  const { database, isolation } = side.placement
  const [found] = await maker.admin('postgres')`select from pg_database where datname = ${database}`
  if (found === undefined) return { rows: 0, notes: 0, fence: 0 }
  if (isolation === 'database') {
    await side.close()
    await maker.removeRoom(side.tenant, side.placement)
    return { rows: 0, notes: 0, fence: 0 }
  }
  await closeRoom(side)
  if (isolation === 'shared')
    await removeRows(
      side,
      (await ctx.tables()).map((t) => t.name),
    )
  else await maker.removeRoom(side.tenant, side.placement)
  await inBooks(
    side,
    `delete from tenancy.notes where tenant_id = '${side.tenant}'; delete from tenancy.fence where tenant_id = '${side.tenant}'`,
  )
  const left = await leftOf(side, isolation === 'shared' ? (await ctx.tables()).map((t) => t.name) : [])
  await forget(side)
  return left
}

async function removeRows(side: Side, tables: readonly string[]): Promise<void> {
  const client = await side.client()
  for (const table of tables) {
    await client.transaction(beginWrite(side), () =>
      client.script(`${AS_MOVER}; delete from ${side.table(table)} where tenant_id = '${side.tenant}'; reset role`),
    )
  }
}

async function leftOf(side: Side, tables: readonly string[]): Promise<Left> {
  const client = await side.client()
  const count = async (from: string) => {
    const [row] = await client.query<{ n: number }>(`select count(*)::float8 as n from ${from} where tenant_id = $1`, [
      side.tenant,
    ])
    return row!.n
  }
  let rows = 0
  for (const table of tables) rows += await count(side.table(table))
  return { rows, notes: await count('tenancy.notes'), fence: await count('tenancy.fence') }
}
