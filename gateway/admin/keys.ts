import { Hono } from 'hono'
import type { TenantRecord } from '../../tiers/control/tenant-store.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { KeyAdmin, NewKey } from '../../tiers/keys/admin.ts'
import { isTenantId } from '../../tiers/types.ts'
import { byOf, logChange } from './changes.ts'
import type { AdminDeps, AdminEnv } from './env.ts'
import { bodyOf, queryOf } from './input.ts'
import { assertThere, tenantNamed } from './named.ts'
import { paged } from './page.ts'
import { newKey, pageQuery, removal } from './shapes.ts'
import { keyView } from './views.ts'

/** `/admin/v1/tenants/{slug}/keys`. They are kept in the tenant's home region; a key's text is shown once, here. */
export function keysApi({ control, log }: AdminDeps) {
  const app = new Hono<AdminEnv>()

  /** A move may have ended meanwhile: what was changed where the tenant was at home is so where it is now. */
  async function atHome<T>({ id, region }: TenantRecord, change: (keys: KeyAdmin) => Promise<T>): Promise<T> {
    const changed = await change(control.keysOf(region))
    const now = await control.tenant(id)
    if (now.region !== region) await control.keysOf(region).copyTo(control.keysOf(now.region), id)
    return changed
  }

  /** Who leaves meanwhile has no key: those that there were have been revoked already. */
  async function create(tenant: TenantRecord, wanted: NewKey) {
    const made = await atHome(tenant, (keys) => keys.create(tenant.id, wanted))
    const now = await control.tenant(tenant.id)
    if (now.status === 'offboarded') await control.keysOf(now.region).revoke(tenant.id, made.key.id)
    assertThere(now)
    return made
  }

  app.get('/:slug/keys', async (c) => {
    const { limit, after } = queryOf(c, pageQuery)
    const tenant = await tenantNamed(control, c)
    const list = (most: number) => control.keysOf(tenant.region).list(tenant.id, { after, limit: most })
    const { page, next } = await paged(c, limit, list, (last) => last.id)
    return c.json({ keys: page.map((key) => keyView(key)), next })
  })

  app.post('/:slug/keys', async (c) => {
    const { name, scopes, expiresAt, reason } = await bodyOf(c, newKey)
    const tenant = await tenantNamed(control, c)
    assertThere(tenant)
    const wanted = { name, scopes, expiresAt: expiresAt === null ? null : new Date(expiresAt) }
    const { key, text } = await control.audit.around(
      { action: 'key.create', by: byOf(c, reason), tenant, details: wanted },
      () => create(tenant, wanted),
      (made) => ({ id: made.key.id }),
    )
    logChange(log, c, { action: 'key.create', tenant, reason, details: { id: key.id, name, scopes, expiresAt } })
    return c.json({ ...keyView(key), apiKey: text }, 201)
  })

  app.delete('/:slug/keys/:id', async (c) => {
    const { reason } = await bodyOf(c, removal)
    const id = c.req.param('id')
    const tenant = await tenantNamed(control, c)
    // Keys are named by UUIDs as tenants are; anything else would be an error of the database's.
    const revoke = async () => {
      const key = isTenantId(id) ? await atHome(tenant, (keys) => keys.revoke(tenant.id, id)) : null
      if (key !== null) return key
      throw new InnkeeperError('not_found', `Tenant ${tenant.slug} has no key "${id}"`, {
        hint: `Its keys: GET /admin/v1/tenants/${tenant.slug}/keys`,
      })
    }
    const details = { id: id.slice(0, 100) }
    const key = await control.audit.around({ action: 'key.revoke', by: byOf(c, reason), tenant, details }, revoke)
    logChange(log, c, { action: 'key.revoke', tenant, reason, details: { id, name: key.name } })
    return c.json(keyView(key))
  })

  return app
}
