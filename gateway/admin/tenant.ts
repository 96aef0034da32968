import { Hono } from 'hono'
import { logChange } from './changes.ts'
import type { AdminDeps, AdminEnv } from './env.ts'
import { bodyOf } from './input.ts'
import { assertThere, tenantNamed } from './named.ts'
import { removal, tenantChange } from './shapes.ts'
import { tenantView } from './views.ts'

/** `/admin/v1/tenants/{slug}`: one tenant, its status, tier and away policy, and its end. */
export function tenantApi({ config, control, log }: AdminDeps) {
  const app = new Hono<AdminEnv>()

  app.get('/:slug', async (c) => c.json(tenantView(await tenantNamed(control, c), config)))

  app.patch('/:slug', async (c) => {
    const change = await bodyOf(c, tenantChange)
    const before = await tenantNamed(control, c)
    assertThere(before)
    let tenant = before
    if (change.tier !== undefined && change.tier !== before.tier) {
      tenant = await control.setTier(before.id, change.tier)
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
