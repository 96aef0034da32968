import { Hono } from 'hono'
import { tierNamed } from '../../tiers/control/place.ts'
import type { TenantRecord } from '../../tiers/control/tenant-store.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import { logChange } from './changes.ts'
import type { AdminDeps, AdminEnv } from './env.ts'
import { bodyOf } from './input.ts'
import { assertThere, tenantNamed } from './named.ts'
import { removal, tenantChange } from './shapes.ts'
import { tenantView } from './views.ts'

/** `/admin/v1/tenants/{slug}`: one tenant, its status, tier and away policy, and its end. */
export function tenantApi(deps: AdminDeps) {
  const { config, control, log } = deps
  const app = new Hono<AdminEnv>()

  app.get('/:slug', async (c) => c.json(tenantView(await tenantNamed(control, c), config)))

  app.patch('/:slug', async (c) => {
    const change = await bodyOf(c, tenantChange)
    const before = await tenantNamed(control, c)
    assertThere(before)
    let tenant = before
    if (change.tier !== undefined && change.tier !== before.tier) {
      tenant = await changeTier(deps, before, change.tier)
      const details = { from: before.tier, to: tenant.tier }
      logChange(log, c, { action: 'tenant.tier', tenant, reason: change.reason, details })
    }
    if (change.away !== undefined && change.away !== (before.away ?? null)) {
      tenant = await control.setAway(before.id, change.away)
      const details = { from: before.away ?? null, to: change.away }
      logChange(log, c, { action: 'tenant.away', tenant, reason: change.reason, details })
    }
    if (change.status !== undefined && change.status !== before.status) {
      const isSuspension = change.status === 'suspended'
      tenant = await (isSuspension ? control.suspend(before.id) : control.resume(before.id))
      const action = isSuspension ? 'tenant.suspend' : 'tenant.resume'
      logChange(log, c, { action, tenant, reason: change.reason })
    }
    return c.json(tenantView(tenant, config))
  })

  app.delete('/:slug', async (c) => {
    const { reason } = await bodyOf(c, removal)
    const before = await tenantNamed(control, c)
    const tenant = await control.offboard(before.id)
    if (before.status !== 'offboarded') {
      logChange(log, c, { action: 'tenant.offboard', tenant, reason, details: { placement: before.placement } })
    }
    return c.json(tenantView(tenant, config))
  })

  return app
}

/** A tier of the same isolation model is a matter of limits; of another one, of another room. */
async function changeTier(
  { config, control }: AdminDeps,
  tenant: TenantRecord,
  tierName: string,
): Promise<TenantRecord> {
  const { isolation } = tierNamed(config, tierName)
  return control.store.exclusively(tenant.id, async () => {
    const now = await control.tenant(tenant.id)
    if (now.placement !== null && now.placement.isolation !== isolation) {
      throw new InnkeeperError('conflict', `Tier ${tierName} needs a move`, {
        field: 'tier',
        details: `${now.slug} lives on model ${now.placement.isolation}, and tier ${tierName} is of model ${isolation}`,
        hint: 'Choose a tier of the same isolation model, or move the tenant.',
      })
    }
    await control.store.setTier(now.id, tierName)
    return control.tenant(now.id)
  })
}
