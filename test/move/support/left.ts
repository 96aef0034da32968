import { expect } from 'vitest'
import type { Placement, TenantId } from '../../../tiers/types.ts'
import type { TestSystem } from '../../support/system.ts'

/** A room that the tenant does not live in: no row, no schema, no database, no fence, no note, no mover's book. */
export async function expectNothingLeft(system: TestSystem, room: Placement, tenant: TenantId): Promise<void> {
  const maker = system.control.makerOf(room.cluster)
  const [database] = await maker.admin('postgres')`select from pg_database where datname = ${room.database}`
  if (room.isolation === 'database') {
    expect(database).toBeUndefined()
    return
  }
  const sql = maker.admin(room.database)
  const [schema] = await sql`select from pg_namespace where nspname = ${room.schema}`
  expect(schema === undefined).toBe(room.isolation === 'schema')
  const [books] = await sql<Record<string, number>[]>`
    select (select count(*)::int from tenancy.fence where tenant_id = ${tenant}) as fence,
      (select count(*)::int from tenancy.notes where tenant_id = ${tenant}) as notes,
      (select count(*)::int from tenancy.moves where tenant_id = ${tenant}) as moves,
      (select count(*)::int from tenancy.move_tables) as tables`
  expect(books).toEqual({ fence: 0, notes: 0, moves: 0, tables: 0 })
  if (room.isolation !== 'shared') return
  const tables = await sql<{ name: string }[]>`
    select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
    where c.relnamespace = ${room.schema}::regnamespace and c.relkind = 'r'`
  for (const { name } of tables) {
    const [row] = await sql.unsafe(`select count(*)::int as n from "${room.schema}"."${name}" where tenant_id = $1`, [
      tenant,
    ])
    expect([name, row!.n]).toEqual([name, 0])
  }
}

/** Where the tenant can be entered, over all databases of all clusters: exactly one place. */
export async function openFences(system: TestSystem, tenant: TenantId): Promise<string[]> {
  const open: string[] = []
  for (const region of system.config.regions.values()) {
    for (const cluster of region.secrets!.clusters.keys()) {
      const maker = system.control.makerOf(cluster)
      const databases = await maker.admin('postgres')<{ name: string }[]>`
        select datname as name from pg_database where datname like 'innkeeper\\_%' and datname not in ('innkeeper_control', 'innkeeper_region')`
      for (const { name } of databases) {
        const found = await maker.admin(
          name,
        )`select epoch from tenancy.fence where tenant_id = ${tenant} and state = 'open'`
        if (found.length > 0) open.push(`${cluster}/${name} ${found[0]!.epoch}`)
      }
    }
  }
  return open
}
