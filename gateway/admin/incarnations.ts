import { Hono } from 'hono'
import { byOf, logChange } from './changes.ts'
import type { AdminDeps, AdminEnv } from './env.ts'
import { bodyOf } from './input.ts'
import { removal } from './shapes.ts'

/** `POST /admin/v1/incarnations`: the control database was restored from a backup, and an operator knows it. */
export function incarnationsApi({ control, log }: AdminDeps) {
  const app = new Hono<AdminEnv>()

  app.post('/', async (c) => {
    const { reason } = await bodyOf(c, removal)
    const raise = async () => {
      const { adopted, ...made } = await control.newIncarnation()
      return { ...made, adopted: adopted.map(({ tenant, from, to }) => ({ tenant, from, to })) }
    }
    const made = await control.audit.around({ action: 'incarnation.new', by: byOf(c, reason) }, raise, (m) => ({
      ...m,
    }))
    logChange(log, c, { action: 'incarnation.new', reason, details: { ...made } })
    return c.json(made)
  })

  return app
}
