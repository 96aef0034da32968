import type { ControlPlane } from '../../tiers/control/control-plane.ts'
import type { TenantRecord } from '../../tiers/control/tenant-store.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import { isSlug } from '../../tiers/slug.ts'
import { isTenantId } from '../../tiers/types.ts'
import { byOf } from './changes.ts'
import type { AdminContext } from './env.ts'

/**
 * The tenant that the path names, by slug or id. Who only looks at it is written down where its profile asks for that.
 *
 * @throws InnkeeperError `tenant_not_found`, also for what can be neither: the database is not asked about that
 */
export async function tenantNamed(control: ControlPlane, c: AdminContext): Promise<TenantRecord> {
  const name = c.req.param('slug') ?? ''
  if (isSlug(name) || isTenantId(name)) {
    const tenant = await control.tenant(name)
    c.set('tenant', tenant)
    if (c.req.method === 'GET' || c.req.method === 'HEAD') await noteLook(control, c, tenant)
    return tenant
  }
  throw new InnkeeperError('tenant_not_found', 'There is no tenant of that name', {
    hint: 'A slug is 1 to 63 lower-case letters, digits and dashes.',
  })
}

/** Writes down that somebody only looks at a tenant, where its profile asks for that. */
export async function noteLook(control: ControlPlane, c: AdminContext, tenant: TenantRecord): Promise<void> {
  if (!control.isAccessAudited(tenant)) return
  await control.audit.append({ action: 'tenant.read', by: byOf(c), tenant, details: { path: c.req.path } })
}

/** @throws InnkeeperError `tenant_gone` for a tenant that has left: nothing of it can be changed any more */
export function assertThere(tenant: TenantRecord): void {
  if (tenant.status !== 'offboarded') return
  throw new InnkeeperError('tenant_gone', `The tenant "${tenant.slug}" has left`)
}
