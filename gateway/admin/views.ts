import type { Config } from '../../config/index.ts'
import type { TenantRecord } from '../../tiers/control/tenant-store.ts'
import type { ApiKey } from '../../tiers/keys/types.ts'
import { awayPolicyOf } from '../../tiers/residency/policy.ts'

/** What the admin API shows. */

export function tenantView(tenant: TenantRecord, config: Config) {
  const { id, slug, tier, region, status, placement, domains, version, createdAt, updatedAt } = tenant
  const regionUrl = config.regions.get(region)?.url ?? null
  return {
    id,
    slug,
    tier,
    // Without a room yet, or any more: the model that its tier asks for.
    isolation: placement?.isolation ?? config.tiers[tier]?.isolation ?? null,
    region,
    status,
    // What holds: its own policy, or else its tier's; and its residency before both.
    away: config.tiers[tier] === undefined ? (tenant.away ?? null) : awayPolicyOf(config, tenant),
    profile: tenant.profile ?? null,
    pinned: tenant.pinned ?? null,
    placement,
    domains,
    url: regionUrl === null ? null : `${regionUrl}/t/${slug}`,
    version,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  }
}

export type TenantView = ReturnType<typeof tenantView>

export function keyView({ id, name, scopes, createdAt, expiresAt, revokedAt }: ApiKey, now = Date.now()) {
  const isExpired = expiresAt !== null && expiresAt.getTime() <= now
  return {
    id,
    name,
    scopes,
    status: revokedAt !== null ? ('revoked' as const) : isExpired ? ('expired' as const) : ('active' as const),
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt?.toISOString() ?? null,
    revokedAt: revokedAt?.toISOString() ?? null,
  }
}

export type KeyView = ReturnType<typeof keyView>
