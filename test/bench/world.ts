import type { ConfigInput } from '../../config/index.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

/** Tenants of the benches, one on each isolation model. */
export const ROOMS = { shared: 'acme', schema: 'hooli', database: 'initech' } as const

export const CUSTOMERS = 1_000

/**
 * A system whose limits do not take part in what is measured, with customers to read: their ids are 1 to
 * {@link CUSTOMERS} in each room.
 */
export async function startWorld(): Promise<TestSystem> {
  const system = await startTestSystem({ configure: unlimited })
  for (const slug of Object.values(ROOMS)) {
    const { id, placement } = await system.control.tenant(slug)
    const { database, schema, cluster } = placement!
    const sql = system.control.makerOf(cluster).admin(database)
    await sql.unsafe(
      `insert into "${schema}".customers (tenant_id, id, name, email)
       overriding system value
       select $1, n, 'Customer ' || n, 'customer-' || n || '@example.com' from generate_series(1, ${CUSTOMERS}) n`,
      [id],
    )
    await sql.unsafe(`alter table "${schema}".customers alter column id restart with ${CUSTOMERS + 1}`)
    await sql.unsafe(`analyze "${schema}".customers`)
  }
  return system
}

export function unlimited(input: ConfigInput): ConfigInput {
  const limits = { requestsPerSecond: 1_000_000, burst: 1_000_000, concurrency: 10_000, connectionsMax: 40 }
  const capacity = { shared: 1_000_000, schema: 10_000, database: 1_000 }
  const tiers = mapped(input.tiers, (tier) => ({ ...tier, limits: { ...tier.limits, ...limits } }))
  const regions = mapped(input.regions, (region) => ({
    ...region,
    clusters: mapped(region.clusters, (cluster) => ({ ...cluster, capacity })),
  }))
  return { ...input, tiers, regions }
}

function mapped<T, U>(record: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]))
}
