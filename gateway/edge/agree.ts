import type { Directory } from '../../tiers/directory/types.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { Tenant, TenantId } from '../../tiers/types.ts'
import type { Naming } from './identify/naming.ts'

/** Bounds what a credential makes the directory look for: it is asked before the tenant is let in, and its limits hold. */
export interface LookUps {
  /** @throws InnkeeperError `rate_limited` */
  check(tenant: Tenant): void
  /** It was not the tenant's. */
  failed(tenant: Tenant): void
}

/**
 * Requires that every identifier names the credential's tenant. A slug and an id are compared with what the directory
 * said of that tenant, so agreement, the usual case, costs no look-up.
 *
 * @param isProven whether the credential was verified. Before that every disagreement is a mismatch, so that nobody
 *                 learns by a made-up credential which tenants there are
 * @throws InnkeeperError `tenant_mismatch`, `tenant_not_found` for an identifier that names nobody, or what `lookUps` throws
 */
export async function requireAgreement(
  namings: readonly Naming[],
  tenant: Tenant,
  directory: Directory,
  isProven: boolean,
  lookUps: LookUps,
): Promise<void> {
  for (const naming of namings) {
    if (naming.kind === 'slug' && naming.value === tenant.slug) continue
    if (naming.kind === 'id' && naming.value === tenant.id) continue
    const isLookedUp = naming.kind === 'domain' || isProven
    if (isLookedUp) lookUps.check(tenant)
    const named = isLookedUp ? await look(naming, directory) : null
    if (named?.id === tenant.id) continue
    if (isLookedUp) lookUps.failed(tenant)
    if (named === null && isProven) {
      throw new InnkeeperError('tenant_not_found', `There is no tenant that ${naming.source} could name`)
    }
    throw new InnkeeperError('tenant_mismatch', `The credential is not one of the tenant that ${naming.source} names`, {
      hint: 'All identifiers of a request must name the same tenant.',
    })
  }
}

function look(naming: Naming, directory: Directory): Promise<Tenant | null> {
  if (naming.kind === 'slug') return directory.bySlug(naming.value)
  if (naming.kind === 'id') return directory.byId(naming.value as TenantId)
  return directory.byDomain(naming.value)
}
