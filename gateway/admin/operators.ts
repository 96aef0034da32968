import { Hono } from 'hono'
import type { Operator } from '../../tiers/operators/operators.ts'
import { byOf, logChange } from './changes.ts'
import type { AdminDeps, AdminEnv } from './env.ts'
import { bodyOf, queryOf } from './input.ts'
import { paged } from './page.ts'
import { newOperator, pageQuery, removal } from './shapes.ts'

/** `/admin/v1/operators`: who may use this API, and as what. A token is shown once, here. */
export function operatorsApi({ control, log }: AdminDeps) {
  const app = new Hono<AdminEnv>()

  app.get('/', async (c) => {
    const { limit, after } = queryOf(c, pageQuery)
    const list = (most: number) => control.operators.list({ after, limit: most })
    const { page, next } = await paged(c, limit, list, (last) => last.id)
    return c.json({ operators: page.map(operatorView), next })
  })

  app.post('/', async (c) => {
    const { name, role, expiresAt, reason } = await bodyOf(c, newOperator)
    const wanted = { name, role, expiresAt: expiresAt === null ? null : new Date(expiresAt) }
    const { operator, token } = await control.operators.create(wanted, byOf(c, reason))
    logChange(log, c, { action: 'operator.create', reason, details: { name, role, expiresAt } })
    return c.json({ ...operatorView(operator), token }, 201)
  })

  app.delete('/:name', async (c) => {
    const { reason } = await bodyOf(c, removal)
    const operator = await control.operators.revoke(c.req.param('name'), byOf(c, reason))
    logChange(log, c, { action: 'operator.revoke', reason, details: { name: operator.name } })
    return c.json(operatorView(operator))
  })

  return app
}

function operatorView({ createdAt, expiresAt, revokedAt, ...operator }: Operator) {
  const isExpired = expiresAt !== null && expiresAt.getTime() <= Date.now()
  return {
    ...operator,
    status: revokedAt !== null ? ('revoked' as const) : isExpired ? ('expired' as const) : ('active' as const),
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt?.toISOString() ?? null,
  }
}

export type OperatorView = ReturnType<typeof operatorView>
