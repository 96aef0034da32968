import { Hono } from 'hono'
import type { Config } from '../../config/index.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import { byOf, logChange } from './changes.ts'
import type { AdminDeps, AdminEnv } from './env.ts'
import { bodyOf } from './input.ts'
import { assertThere, tenantNamed } from './named.ts'
import { domain as domainShape, newDomain, removal } from './shapes.ts'

/** `/admin/v1/tenants/{slug}/domains`: the host names of the tenant's own. */
export function domainsApi({ config, control, log }: AdminDeps) {
  const app = new Hono<AdminEnv>()

  app.get('/:slug/domains', async (c) => {
    const { domains } = await tenantNamed(control, c)
    return c.json({ domains })
  })

  app.post('/:slug/domains', async (c) => {
    const { domain, reason } = await bodyOf(c, newDomain)
    const tenant = await tenantNamed(control, c)
    assertThere(tenant)
    assertFreeDomain(config, domain)
    const hadIt = tenant.domains.includes(domain)
    if (!hadIt) {
      await control.store.addDomain(tenant.id, domain, byOf(c, reason))
      logChange(log, c, { action: 'domain.add', tenant, reason, details: { domain } })
    }
    return c.json({ domain, tenant: tenant.slug }, hadIt ? 200 : 201)
  })

  app.delete('/:slug/domains/:domain', async (c) => {
    const { reason } = await bodyOf(c, removal)
    const domain = domainShape.safeParse(c.req.param('domain')).data
    const tenant = await tenantNamed(control, c)
    if (domain === undefined || !(await control.store.removeDomain(tenant.id, domain, byOf(c, reason)))) {
      throw new InnkeeperError('not_found', `Tenant ${tenant.slug} has no such domain`, {
        hint: `Its domains: GET /admin/v1/tenants/${tenant.slug}/domains`,
      })
    }
    logChange(log, c, { action: 'domain.remove', tenant, reason, details: { domain } })
    return c.json({ domain, tenant: tenant.slug })
  })

  return app
}

/** Below a base domain a name is some tenant's slug: as a custom domain it could be another tenant's. */
export function assertFreeDomain(config: Config, domain: string): void {
  const base = config.identify.baseDomains.find((b) => domain === b || domain.endsWith(`.${b}`))
  if (base === undefined) return
  throw new InnkeeperError('invalid_request', `domain: ${domain} lies under the base domain ${base}`, {
    field: 'domain',
    hint: `Tenants have {slug}.${base} without being told; give a domain of the tenant's own.`,
  })
}
