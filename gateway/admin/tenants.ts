import { Hono } from 'hono'
import { regionNamed, tierNamed } from '../../tiers/control/place.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import { byOf, logChange } from './changes.ts'
import { assertFreeDomain } from './domains.ts'
import type { AdminContext, AdminDeps, AdminEnv } from './env.ts'
import { bodyOf, queryOf } from './input.ts'
import { paged } from './page.ts'
import { newTenant, tenantQuery } from './shapes.ts'
import { tenantView } from './views.ts'

/** `/admin/v1/tenants`: the list, and new tenants. */
export function tenantsApi({ config, control, log }: AdminDeps) {
  const app = new Hono<AdminEnv>()

  app.get('/', async (c) => {
    const query = queryOf(c, tenantQuery)
    if (query.region !== undefined) regionNamed(config, query.region)
    if (query.tier !== undefined) tierNamed(config, query.tier)
    const list = (limit: number) => control.tenants({ ...query, limit })
    const { page, next } = await paged(c, query.limit, list, (last) => last.slug)
    return c.json({ tenants: page.map((t) => tenantView(t, config)), next })
  })

  app.post('/', async (c) => {
    const body = await bodyOf(c, newTenant)
    const region = body.region ?? onlyRegion([...config.regions.keys()])
    for (const domain of body.domains ?? []) assertFreeDomain(config, domain)
    const by = byOf(c, body.reason)
    const existed = (await control.store.get(body.slug)) !== null
    const { reason: _reason, ...wanted } = body
    const tenant = await control.createTenant({ ...wanted, region, idempotencyKey: idempotencyKeyOf(c) }, by)
    if (!existed) logChange(log, c, { action: 'tenant.create', tenant, reason: body.reason })
    c.header('location', `/admin/v1/tenants/${tenant.slug}`)
    return c.json(tenantView(tenant, config), existed ? 200 : 201)
  })

  return app
}

function onlyRegion(names: readonly string[]): string {
  if (names.length === 1) return names[0]!
  throw new InnkeeperError('invalid_request', 'region: is missing', {
    field: 'region',
    hint: `Use one of: ${names.join(', ')}.`,
  })
}

/** 1 to 255 visible characters, as most clients make them: a UUID, say. */
function idempotencyKeyOf(c: AdminContext): string | undefined {
  const key = c.req.header('idempotency-key')
  if (key === undefined || /^[\x21-\x7e]{1,255}$/.test(key)) return key
  throw new InnkeeperError('invalid_request', 'The Idempotency-Key is not 1 to 255 visible characters', {
    field: 'Idempotency-Key',
  })
}
