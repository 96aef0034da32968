import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import { resolveConfig } from '../../config/index.ts'
import { openDirectory } from '../../tiers/directory/directory.ts'
import type { TenantId } from '../../tiers/types.ts'
import type { Bench } from './bench.ts'
import { median } from './measure.ts'

const TENANTS = 100_000
const LOOKUPS = 1_000_000
const LOADERS = 50

/** What it costs to know where a tenant lives: the look-up of a known one, and the memory of knowing it. */
export const directory: Bench = {
  name: 'directory',
  async run({ system, note }) {
    const config = resolveConfig(
      { ...system.input, directory: { ...system.input.directory, entriesMax: 2 * TENANTS, ttlMs: 3_600_000 } },
      { kind: 'gateway', region: 'us' },
      system.env,
    )
    note(`directory: making ${TENANTS.toLocaleString('en-US')} tenants`)
    const ids = await insertTenants(system.env.INNKEEPER_CONTROL_URL!)
    const known = openDirectory({ config })
    try {
      // What the first answers bring with them, such as compiled code and connections, is not the tenants'.
      await load(known, ids.slice(0, 1_000))
      const before = heapBytes()
      await load(known, ids.slice(1_000))
      const perTenant = (heapBytes() - before) / (TENANTS - 1_000)
      // What was answered before the first change was heard of is not kept; by now it is.
      await load(known, ids)
      const rounds = Array.from({ length: 7 }, () => lookupNs(known, ids))
      return [
        {
          bench: `directory, ${TENANTS.toLocaleString('en-US')} tenants known`,
          what: 'look-up, hit',
          value: median(rounds),
          unit: 'ns',
          goals: [{ of: 'ns', atMost: 2_000 }],
        },
        {
          bench: `directory, ${TENANTS.toLocaleString('en-US')} tenants known`,
          what: 'memory of a tenant',
          value: perTenant,
          unit: 'bytes',
        },
      ]
    } finally {
      await known.close()
    }
  },
}

async function insertTenants(url: string): Promise<TenantId[]> {
  const sql = postgres(url, { max: 1 })
  const ids = Array.from({ length: TENANTS }, () => uuidv7() as TenantId)
  try {
    await sql.begin(async (tx) => {
      // Past the triggers that tell gateways of each change.
      await tx`set local session_replication_role = replica`
      await tx`
        insert into tenants (id, slug, tier, region, status, epoch_last)
        select id, 'bench-' || n, 'free', 'us', 'active', 1 from unnest(${ids}::uuid[]) with ordinality as t (id, n)`
      await tx`
        insert into placements (tenant_id, cluster, database, schema, isolation, epoch)
        select id, 'us-1', 'innkeeper_shared', 'app', 'shared', 1 from unnest(${ids}::uuid[]) as t (id)`
    })
    await sql`analyze tenants, placements`
  } finally {
    await sql.end()
  }
  return ids
}

type Known = ReturnType<typeof openDirectory>

async function load(known: Known, ids: readonly TenantId[]): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: LOADERS }, async () => {
      while (next < ids.length) await known.byId(ids[next++]!)
    }),
  )
}

function lookupNs(known: Known, ids: readonly TenantId[]): number {
  // Texts of their own, as a request brings them, not the very strings that the cache holds.
  const asked = Array.from(
    { length: 1_000 },
    (_, i) => Buffer.from(ids[(i * 7919) % ids.length]!).toString() as TenantId,
  )
  let hits = 0
  const started = performance.now()
  for (let i = 0; i < LOOKUPS; i++) if (known.peekId(asked[i % asked.length]!)) hits++
  const took = performance.now() - started
  if (hits !== LOOKUPS) throw new Error(`${LOOKUPS - hits} look-ups of known tenants found nothing`)
  return (took * 1e6) / LOOKUPS
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
