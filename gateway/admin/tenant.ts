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
    const { was, now: tenant } = await control.changeTenant(before.id, change, byOf(c, change.reason))
    const logged = (action: string, details?: Record<string, unknown>) =>
      logChange(log, c, { action, tenant, reason: change.reason, ...(details && { details }) })
    if (tenant.tier !== was.tier) logged('tenant.tier', { from: was.tier, to: tenant.tier })
    if (tenant.away !== was.away) logged('tenant.away', { from: was.away ?? null, to: tenant.away ?? null })
    if (tenant.status !== was.status) logged(tenant.status === 'suspended' ? 'tenant.suspend' : 'tenant.resume')
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
