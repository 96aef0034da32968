import { type Config, resolveConfig } from '../../config/index.ts'
import { type OpenTenants, openTenants } from '../../tiers/open-tenants.ts'
import * as schema from '../contract/schema.ts'
import { LAB_INPUT, type Lab, withCluster } from '../isolation/support/lab.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'

export interface Numbers {
  readonly free: number
  readonly pro: number
  readonly enterprise: number
}

/** @returns their slugs */
export async function makeTenants(lab: Lab, numbers: Numbers): Promise<string[]> {
  const wanted = Object.entries(numbers).flatMap(([tier, n]) =>
    Array.from({ length: n }, (_, i) => ({ tier, slug: `${tier}-${i}` })),
  )
  const waiting = [...wanted]
  const worker = async () => {
    for (let one = waiting.pop(); one !== undefined; one = waiting.pop())
      await lab.control.createTenant({ ...one, region: 'us' })
  }
  await Promise.all(Array.from({ length: 4 }, worker))
  return wanted.map((w) => w.slug)
}

export interface Front {
  readonly url: string
  close(): Promise<void>
}

/** PgBouncer in transaction mode before the lab's server, for the gateways' login; null where there is none. */
export async function bouncerBefore(lab: Lab): Promise<Front | null> {
  const bouncer = await startPgBouncer({
    server: lab.postgres.server,
    users: { innkeeper_app: 'app-secret' },
    // Fewer servers than clients, so that clients change over all the time.
    settings: { default_pool_size: 4, server_idle_timeout: 5, max_db_connections: 4 },
  })
  return bouncer && { url: bouncer.url('postgres', 'innkeeper_app', 'app-secret'), close: () => bouncer.stop() }
}

/** The one interface as a gateway has it, straight or through the proxy. */
export function openThrough(
  lab: Lab,
  front: Front | null,
  connectionsMax: number,
): Promise<OpenTenants<typeof schema>> {
  const env = { ...lab.env, ...(front && { INNKEEPER_US_1_URL: front.url }) }
  const input = withCluster({ connectionsMax, preparedStatements: front === null }, { queueWaitMs: 60_000 })(LAB_INPUT)
  const config: Config = resolveConfig(input, { kind: 'gateway', region: 'us' }, env)
  return openTenants(config, { schema })
}
