import { applyPass } from './apply.ts'
import { bringKeys } from './bring-keys.ts'
import type { Flow, MoveContext, Outcome } from './context.ts'
import { cutOver } from './cutover.ts'
import { loosen, settle } from './readiness.ts'
import { retreat } from './retreat.ts'
import type { MoveRequest } from './types.ts'

/** The states after the flip, and those that lead back. */

/** From the new home to the old one. */
export function reversed(ctx: MoveContext): Flow {
  return { source: ctx.target, target: ctx.source }
}

/** Passes without anything in them. */
const QUIET_MAX = 10

/** Keeps the old room equal to the new home, until the time is over or an operator has decided. */
export async function watch(ctx: MoveContext): Promise<Outcome> {
  const flow = reversed(ctx)
  await retreat(flow)
  await bringKeys(ctx, 'destination')
  // No row goes back to where the tenant's data may not be: that room is emptied at once.
  if (!(await ctx.mayReturn())) return { event: 'done' }
  await loosen(flow.target)
  const until = ctx.move.watchUntil ?? new Date(Date.now() + ctx.settings.watchMs)
  if (ctx.move.watchUntil === null) await ctx.store.patch(ctx.lease, { watchUntil: until })
  let isSettled = false
  for (let quiet = 0; ; ) {
    ctx.signal.throwIfAborted()
    const asked = ctx.asked()
    if (asked === 'rollback') return { event: 'rollback', patch: { attempts: 0 } }
    if (asked === 'complete' || Date.now() >= until.getTime()) return { event: 'done' }
    const pass = await applyPass(flow.source, flow.target, await ctx.tables())
    ctx.progress({ lag: pass.notes })
    if (!isSettled) isSettled = await settle(flow.source)
    // A tenant who writes nothing is looked after more seldom, and no connection waits at either server meanwhile.
    quiet = pass.notes === 0 ? Math.min(quiet + 1, QUIET_MAX) : 0
    if (quiet === QUIET_MAX) await Promise.all([ctx.source.close(), ctx.target.close()])
    await idle(
      ctx,
      pass.notes > ctx.settings.lagMax ? 0 : ctx.settings.watchPassMs * (quiet === QUIET_MAX ? QUIET_MAX : 1),
    )
  }
}

/** Wakes at once when an operator asks for something. */
export async function idle(ctx: MoveContext, ms: number): Promise<void> {
  const until = performance.now() + ms
  while (performance.now() < until && !ctx.signal.aborted && !isDecision(ctx.asked())) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A request to abort may have lost against the flip: it is none any more. */
function isDecision(asked: MoveRequest | null): boolean {
  return asked === 'rollback' || asked === 'complete'
}

export function cutOverBackward(ctx: MoveContext): Promise<Outcome> {
  return cutOver(ctx, { flow: reversed(ctx), home: ctx.move.from, capture: false, end: 'origin' })
}
