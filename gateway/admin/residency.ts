import { Hono } from 'hono'
import type { TenantRecord } from '../../tiers/control/tenant-store.ts'
import { byOf, logChange } from './changes.ts'
import type { AdminDeps, AdminEnv } from './env.ts'
import { bodyOf } from './input.ts'
import { assertThere, tenantNamed } from './named.ts'
import { residencyChange } from './shapes.ts'
import { tenantView } from './views.ts'

/** `/admin/v1/tenants/{slug}/residency`: what a tenant is kept to, and the proof of where it is. */
export function residencyApi({ config, control, log }: AdminDeps) {
  const app = new Hono<AdminEnv>()

  /** The report is of this moment; asked for again it is another one. */
  app.get('/:slug/residency', async (c) => {
    const { id } = await tenantNamed(control, c)
    return c.json(await control.residencyReport(id, byOf(c)), 200, { 'cache-control': 'no-store' })
  })

  app.patch('/:slug/residency', async (c) => {
    const { reason, ...change } = await bodyOf(c, residencyChange)
    const before = await tenantNamed(control, c)
    assertThere(before)
    const tenant = await control.setResidency(before.id, change, byOf(c, reason))
    const details = { from: keptTo(before), to: keptTo(tenant) }
    logChange(log, c, { action: 'tenant.residency', tenant, reason, details })
    return c.json(tenantView(tenant, config))
  })

  return app
}

const keptTo = ({ profile, pinned }: TenantRecord) => ({ profile, pinned })
