import type { ParsedConfig } from '../../../config/shape.ts'
import type { ControlPlane } from '../../../tiers/control/control-plane.ts'
import type { CreateTenant } from '../../../tiers/control/onboarding.ts'
import type { TenantRecord } from '../../../tiers/control/tenant-store.ts'
import type { RunningControl } from '../../control.ts'
import type { Product } from '../../product.ts'
import type { Progress } from '../progress.ts'
import type { DemoTenantEntry } from '../summary.ts'
import { DEMO_TENANTS } from './tenants.ts'

/**
 * Makes the demo's tenants, as far as the configuration has their tiers and regions, fills them where the tables are the
 * demo's own, and gives each a key. What an earlier start made is kept.
 */
export async function demoTenants(
  { control, tenants }: RunningControl,
  product: Product & { readonly config: ParsedConfig },
  gateways: Readonly<Record<string, string>>,
  keptKeys: ReadonlyMap<string, string>,
  progress: Progress,
): Promise<DemoTenantEntry[]> {
  const { regions, tiers } = product.config
  const entries: DemoTenantEntry[] = []
  for (const { slug, tier, region, away, profile } of DEMO_TENANTS) {
    if (!(region in regions) || !(tier in tiers)) continue
    progress.step(`tenant ${slug}: a room of model ${tiers[tier]!.isolation}`)
    const tenant = await made(control, { slug, tier, region, away, profile: known(product, profile) })
    if (product.isDemo) {
      progress.step(`tenant ${slug}: its data`)
      // Not loaded before it is needed: what makes up the data is large.
      const { advanceSequences, seedTenant } = await import('./seed.ts')
      if ((await seedTenant(tenants, slug)) > 0) {
        await advanceSequences(control.makerOf(tenant.placement!.cluster), tenant.placement!)
      }
    }
    entries.push({
      slug,
      tier: tenant.tier,
      isolation: tenant.placement!.isolation,
      region,
      apiKey: await keyOf(control, tenant, keptKeys.get(slug)),
      url: `${gateways[region]}/t/${slug}`,
    })
  }
  return entries
}

async function made(control: ControlPlane, wanted: CreateTenant): Promise<TenantRecord> {
  const found = await control.store.get(wanted.slug)
  if (found?.status === 'active') return found
  return control.createTenant({ ...wanted, idempotencyKey: `demo-${wanted.slug}` })
}

/** A product of one's own may have other profiles. */
function known({ config }: { readonly config: ParsedConfig }, profile: string | undefined): string | null {
  return profile !== undefined && Object.hasOwn(config.residency.profiles, profile) ? profile : null
}

/** The key of the last start, while it is good; a key's text is shown once, so a lost one is replaced. */
async function keyOf(control: ControlPlane, tenant: TenantRecord, kept: string | undefined): Promise<string> {
  const keys = control.keysOf(tenant.region)
  const isGood = (await keys.list(tenant.id)).some((k) => k.name === 'demo' && k.revokedAt === null)
  if (kept !== undefined && isGood) return kept
  return (await keys.create(tenant.id, { name: 'demo', scopes: ['read', 'write'], expiresAt: null })).text
}
