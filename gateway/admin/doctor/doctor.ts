import type { ClusterConfig, Config, RegionConfig } from '../../../config/index.ts'
import { within } from '../../../tiers/cache/within.ts'
import { signingKey } from '../../../tiers/control/signed-document.ts'
import type { TenantRecord } from '../../../tiers/control/tenant-store.ts'
import { REGION_DATABASE } from '../../../tiers/rooms/naming.ts'
import type { AdminDeps } from '../env.ts'
import { type Check, type CheckStatus, checking, fail, ok, warn } from './check.ts'
import { checkClock, checkMover, checkServer } from './cluster.ts'
import { checkControlDatabase } from './control-database.ts'
import { checkReplication } from './replication.ts'
import { checkResidency } from './residency.ts'
import { checkRoles } from './roles.ts'
import { checkRooms } from './rooms.ts'
import { checkSettings } from './settings.ts'

export interface Diagnosis {
  /** The worst of all. */
  readonly status: CheckStatus
  readonly checks: readonly Check[]
}

const ANSWER_MS = 5_000

type DoctorDeps = Pick<AdminDeps, 'config' | 'control' | 'product'>

/**
 * Looks at everything a tenant's request stands on, and changes nothing.
 * @param options.residency also looks through every cluster for what is of tenants that do not belong there, which takes long
 */
export async function diagnose(deps: DoctorDeps, { residency = false } = {}): Promise<Diagnosis> {
  const { config, control } = deps
  const directory = await checkControlDatabase(config, control)
  // Without the directory it is not known what should be where; servers can be looked at all the same.
  const tenants = directory.some((c) => c.status === 'fail') ? null : await placedTenants(deps)
  const clusters = control.clusters().map((cluster) => checkCluster(deps, cluster, tenants))
  const regions = [...config.regions.values()].map((region) => checkKeyStore(deps, region))
  const checks = [
    ...directory,
    checkSigningKey(config),
    ...(await Promise.all([...clusters, ...regions])).flat(),
    ...homeless(deps, tenants),
    ...(residency ? await checkResidency(control) : []),
  ]
  const worst = (['fail', 'warn'] as const).find((s) => checks.some((c) => c.status === s))
  return { status: worst ?? 'ok', checks }
}

function checkCluster(
  { control, product }: DoctorDeps,
  cluster: ClusterConfig,
  tenants: readonly TenantRecord[] | null,
): Promise<Check[]> {
  const { name, region } = cluster
  return checking(`${name} server`, `Start the server, or correct the adminUrl of cluster ${name}.`, async () => {
    const maker = control.makerOf(name)
    const sql = maker.admin('postgres')
    // A frozen server is told from a big one by this first, small question.
    const server = await within(checkServer(cluster, sql), ANSWER_MS)
    const { app, kids, hosts } = (await control.about(region)).clusters.find((c) => c.name === name)!
    const machine = [
      ...server,
      ...(await checkRoles(`${name} roles`, sql, app)),
      ...(await checkSettings(`${name} settings`, sql, app)),
      ...(await checkClock(cluster, sql)),
      ...(await checkReplication(name, sql, hosts)),
      ...(await checkMover(cluster, sql, app)),
    ]
    if (tenants === null) return machine
    const here = tenants.filter((t) => t.placement!.cluster === name)
    return [
      ...machine,
      ...(await checkRooms({ cluster, app, kids, maker, product, tenants: here, lastEpoch: control.lastEpoch })),
    ]
  })
}

/** API keys are kept in a database of the region's, on its first cluster. */
function checkKeyStore({ control }: DoctorDeps, { name, clusters }: RegionConfig): Promise<Check[]> {
  const check = `${name} key store`
  return checking(check, 'Restart the control plane: it makes the key store.', async () => {
    const sql = control.makerOf(clusters.keys().next().value!).admin(REGION_DATABASE)
    const asked = sql<{ keys: number }[]>`
      select count(*)::int as keys from keys.api_keys where revoked_at is null and coalesce(expires_at > now(), true)`
    const [found] = await within(asked, ANSWER_MS)
    return [ok(check, `${found!.keys} valid keys`)]
  })
}

/** Whoever checks a signed document compares its key with this one. */
function checkSigningKey(config: Config): Check {
  if (config.signingKey !== null) return ok('signing key', signingKey(config.signingKey).keyId)
  return warn(
    'signing key',
    'none: certificates of moves and residency reports are not signed',
    'Name control.signingKey in the configuration: openssl rand -base64 32.',
  )
}

const PAGE = 500

/** Those that are served, or could be once they are resumed. */
async function placedTenants({ control }: DoctorDeps): Promise<TenantRecord[]> {
  const all: TenantRecord[] = []
  let after: string | undefined
  for (;;) {
    const page = await control.tenants({ limit: PAGE, after })
    all.push(...page.filter((t) => t.placement !== null && (t.status === 'active' || t.status === 'suspended')))
    if (page.length < PAGE) return all
    after = page.at(-1)!.slug
  }
}

function homeless({ config }: DoctorDeps, tenants: readonly TenantRecord[] | null): Check[] {
  const clusters = new Set([...config.regions.values()].flatMap((r) => [...r.clusters.keys()]))
  const lost = (tenants ?? []).filter((t) => !clusters.has(t.placement!.cluster))
  return lost.map((t) =>
    fail(
      'placements',
      `${t.slug} lives on cluster ${t.placement!.cluster}, which is not configured`,
      'Keep the cluster in the configuration until it is empty.',
    ),
  )
}
