import { Hono } from 'hono'
import { byOf, logChange } from './changes.ts'
import type { AdminDeps, AdminEnv } from './env.ts'
import { bodyOf } from './input.ts'
import { assertThere, tenantNamed } from './named.ts'
import { requireRight } from './rights.ts'
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
    // All of them before any is done.
    for (const field of ['status', 'tier', 'away'] as const) {
      if (change[field] !== undefined) requireRight(c, `tenant.${field}`)
    }
    const by = byOf(c, change.reason)
    let tenant = before
    if (change.tier !== undefined && change.tier !== before.tier) {
      tenant = await control.setTier(before.id, change.tier, by)
      const details = { from: before.tier, to: tenant.tier }
      logChange(log, c, { action: 'tenant.tier', tenant, reason: change.reason, details })
    }
    if (change.away !== undefined && change.away !== (before.away ?? null)) {
      tenant = await control.setAway(before.id, change.away, by)
      const details = { from: before.away ?? null, to: change.away }
      logChange(log, c, { action: 'tenant.away', tenant, reason: change.reason, details })
    }
    if (change.status !== undefined && change.status !== before.status) {
      const isSuspension = change.status === 'suspended'
      tenant = await (isSuspension ? control.suspend(before.id, by) : control.resume(before.id, by))
      const action = isSuspension ? 'tenant.suspend' : 'tenant.resume'
      logChange(log, c, { action, tenant, reason: change.reason })
    }
    return c.json(tenantView(tenant, config))
  })

  app.delete('/:slug', async (c) => {
    const { reason } = await bodyOf(c, removal)
    const before = await tenantNamed(control, c)
    const tenant = await control.offboard(before.id, byOf(c, reason))
    if (before.status !== 'offboarded') {
      logChange(log, c, { action: 'tenant.offboard', tenant, reason, details: { placement: before.placement } })
    }
    return c.json(tenantView(tenant, config))
  })

  return app
}
