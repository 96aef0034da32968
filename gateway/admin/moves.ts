import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import type { MovePlan } from '../../tiers/move/plan.ts'
import { isFinal, type MoveState } from '../../tiers/move/states.ts'
import { type Move, type MoveProgress, NO_PROGRESS } from '../../tiers/move/types.ts'
import { byOf, logChange } from './changes.ts'
import type { AdminContext, AdminDeps, AdminEnv } from './env.ts'
import { bodyOf, queryOf } from './input.ts'
import { assertThere, noteLook, tenantNamed } from './named.ts'
import { paged } from './page.ts'
import { moveQuery, newMove, removal } from './shapes.ts'

/** `POST /admin/v1/tenants/{slug}/moves`: begins a move, or says what it would do. */
export function tenantMovesApi({ control, log }: AdminDeps) {
  const app = new Hono<AdminEnv>()

  app.post('/:slug/moves', async (c) => {
    const { dryRun, reason, ...destination } = await bodyOf(c, newMove)
    const tenant = await tenantNamed(control, c)
    assertThere(tenant)
    const wanted = { tenant: tenant.id, ...destination }
    if (dryRun) {
      await noteLook(control, c, tenant)
      return c.json(planView(await control.moves.plan(wanted)))
    }
    const move = await control.moves.start({ ...wanted, by: c.get('actor'), operator: byOf(c, reason) })
    logChange(log, c, {
      action: 'tenant.move',
      tenant,
      reason,
      details: { move: move.id, from: move.from, to: move.to },
    })
    return c.json(moveView(move), 202, { location: `/admin/v1/moves/${move.id}` })
  })

  return app
}

/** `/admin/v1/moves`: what moves are doing, and what an operator may want of them. */
export function movesApi({ control, log }: AdminDeps) {
  const app = new Hono<AdminEnv>()
  const { moves } = control
  /** @throws InnkeeperError `not_found` */
  const moveNamed = async (c: AdminContext) => {
    const move = await moves.get(c.req.param('id') ?? '')
    await noteLook(control, c, await control.tenant(move.tenantId))
    return move
  }

  app.get('/', async (c) => {
    const { tenant, open, limit, after } = queryOf(c, moveQuery)
    const of = tenant === undefined ? undefined : await control.tenant(tenant)
    if (of !== undefined) await noteLook(control, c, of)
    const list = (most: number) => moves.list({ tenantId: of?.id, open, after, limit: most })
    const { page, next } = await paged(c, limit, list, (last) => last.id)
    return c.json({ moves: page.map(moveView), next })
  })

  app.get('/:id', async (c) => c.json(moveView(await moveNamed(c))))

  /** The move as it is, then at every change, until it has ended. */
  app.get('/:id/events', async (c) => {
    const { id } = await moveNamed(c)
    return streamSSE(c, async (out) => {
      const gone = new AbortController()
      out.onAbort(() => gone.abort())
      for await (const move of moves.events(id, gone.signal)) {
        await out.writeSSE({ event: isFinal(move.state) ? 'end' : 'move', data: JSON.stringify(moveView(move)) })
      }
    })
  })

  app.get('/:id/certificate', async (c) => c.json(await moves.certificate((await moveNamed(c)).id)))

  for (const action of ['abort', 'rollback', 'complete'] as const) {
    app.post(`/:id/${action}`, async (c) => {
      const { reason } = await bodyOf(c, removal)
      const move = await moves[action](c.req.param('id'), byOf(c, reason))
      await logged(c, action, move, reason)
      // What has been done already is answered as such: a client that lost the first answer asks again.
      return c.json(moveView(move), isFinal(move.state) ? 200 : 202)
    })
  }

  async function logged(c: AdminContext, action: string, move: Move, reason: string | undefined) {
    const tenant = await control.tenant(move.tenantId)
    logChange(log, c, { action: `move.${action}`, tenant, reason, details: { move: move.id, state: move.state } })
  }

  return app
}

export function moveView({
  from,
  to,
  progress,
  watchUntil,
  createdAt,
  updatedAt,
  endedAt,
  generation: _,
  ...move
}: Move) {
  return {
    ...move,
    from,
    to,
    progress: {
      ...NO_PROGRESS,
      ...progress,
      etaS: etaOf(move.state, progress),
    },
    watchUntil: watchUntil?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
  }
}

/** Of the work that the state is about; null where that is no matter of rows, or nothing is known yet. */
function etaOf(state: MoveState, progress: MoveProgress): number | null {
  const { rowsTotal, rows, rowsPerSecond, verified, verifiedPerSecond } = progress
  // A move that an older version began has not counted what it verified.
  const left = (done: number, perSecond: number) =>
    perSecond > 0 ? Math.ceil(Math.max(0, rowsTotal - done) / perSecond) : null
  if (state === 'copying') return left(rows, rowsPerSecond)
  return state === 'verifying' ? left(verified, verifiedPerSecond) : null
}

export type MoveView = ReturnType<typeof moveView>

function planView({ from, to, kind, tables, rows, bytes, etaMs, refusals, notes, wayBack }: MovePlan) {
  return { kind, from, to, tables, rows, bytes, etaS: Math.ceil(etaMs / 1000), refusals, notes, wayBack }
}

export type PlanView = ReturnType<typeof planView>
