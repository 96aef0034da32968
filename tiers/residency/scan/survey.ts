import type { Config } from '../../../config/index.ts'
import type { RegionStores } from '../../control/region-stores.ts'
import type { KeyAdmin } from '../../keys/admin.ts'
import type { TenantId } from '../../types.ts'
import { scanCluster } from './cluster.ts'
import type { Foreign, KnownRoom, Scan } from './found.ts'

export interface ScanDeps {
  readonly config: Config
  readonly regions: Pick<RegionStores, 'clusters' | 'about'>
  /** As the directory has them now. */
  rooms(): Promise<KnownRoom[]>
  keysOf(region: string): KeyAdmin
}

/**
 * Looks through every cluster and key store for what is of tenants that do not belong there. A room that was made, or left,
 * while it looked is nobody's fault: the directory is read before and after, and what either knows counts as known.
 */
export async function scanResidency({ config, regions, rooms, keysOf }: ScanDeps): Promise<Scan> {
  const before = await rooms()
  const facts = await Promise.all([...config.regions.keys()].map((name) => regions.about(name)))
  const apps = new Map(facts.flatMap((f) => f.clusters.map((c) => [c.name, c.app])))
  const clusters = regions.clusters()
  const pass = async (known: readonly KnownRoom[]) => {
    const scans = await Promise.all(
      clusters.map((c) =>
        scanCluster(
          c,
          apps.get(c.name)!,
          known.filter((r) => r.cluster === c.name),
        ),
      ),
    )
    const keys = await Promise.all([...config.regions.keys()].map((region) => foreignKeys(region, keysOf, known)))
    return { looked: scans.map((s) => s.looked), foreign: [...scans.flatMap((s) => s.foreign), ...keys.flat()] }
  }
  const first = await pass(before)
  const at = new Date().toISOString()
  if (first.foreign.length === 0) return { at, ...first }
  return { at, ...(await pass([...before, ...(await rooms())])) }
}

async function foreignKeys(
  region: string,
  keysOf: ScanDeps['keysOf'],
  known: readonly KnownRoom[],
): Promise<Foreign[]> {
  const mine = new Set<TenantId>(known.filter((r) => r.region === region).map((r) => r.tenant))
  const counts = await keysOf(region).counts()
  return counts
    .filter(({ tenant }) => !mine.has(tenant))
    .map(({ tenant, keys }) => ({
      region,
      cluster: 'key store',
      database: null,
      kind: 'keys',
      what: `${keys} API keys`,
      tenant,
    }))
}
