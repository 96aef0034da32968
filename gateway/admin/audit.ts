import { Hono } from 'hono'
import type { AdminDeps, AdminEnv } from './env.ts'
import { queryOf } from './input.ts'
import { noteLook } from './named.ts'
import { auditProofQuery, auditQuery } from './shapes.ts'

/** `/admin/v1/audit`: what was done, by whom and why; and whether all of it is still there. */
export function auditApi({ control }: AdminDeps) {
  const app = new Hono<AdminEnv>()

  app.get('/', async (c) => {
    const { tenant, limit, ...filter } = queryOf(c, auditQuery)
    const of = tenant === undefined ? undefined : await control.tenant(tenant)
    if (of !== undefined) await noteLook(control, c, of)
    // One more than asked for tells whether there is a next page.
    const found = await control.audit.list({ ...filter, tenantId: of?.id, limit: limit + 1 })
    const entries = found.slice(0, limit)
    const next = found.length > entries.length ? entries.at(-1)!.seq : null
    return c.json({ entries, next })
  })

  app.get('/proof', async (c) => {
    const { anchor } = queryOf(c, auditProofQuery)
    const { entries, head, faults } = await control.audit.verify(anchor)
    return c.json({ ok: faults.length === 0, entries, head: `${head.seq}:${head.hash}`, faults })
  })

  return app
}
