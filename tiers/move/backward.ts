import { applyPass } from './apply.ts'
import { clearRoom } from './clear.ts'
import type { Flow, MoveContext, Outcome } from './context.ts'
import { cutOver } from './cutover.ts'
import { changeFence, inBooks, reopenRoom, Undrained } from './fence.ts'
import { forget, heldBy, isThere, whileHeld } from './generation.ts'
import { retreat } from './retreat.ts'

/** The states after the flip, and those that lead back. */

/** From the new home to the old one. */
export function reversed(ctx: MoveContext): Flow {
  return { source: ctx.target, target: ctx.source }
}

/** Keeps the old room equal to the new home, until the time is over or an operator has decided. */
export async function watch(ctx: MoveContext): Promise<Outcome> {
  const flow = reversed(ctx)
  await retreat(flow)
  // No row goes back to where the tenant's data may not be: that room is emptied at once.
  if (!(await ctx.mayReturn())) return { event: 'done' }
  const until = ctx.move.watchUntil ?? new Date(Date.now() + ctx.settings.watchMs)
  if (ctx.move.watchUntil === null) await ctx.store.patch(ctx.lease, { watchUntil: until })
  for (;;) {
    ctx.signal.throwIfAborted()
    const asked = ctx.asked()
    if (asked === 'rollback') return { event: 'rollback', patch: { attempts: 0 } }
    if (asked === 'complete' || Date.now() >= until.getTime()) return { event: 'done' }
    const pass = await applyPass(flow.source, flow.target, await ctx.tables())
    ctx.progress({ lag: pass.notes })
    await idle(ctx, pass.notes > ctx.settings.lagMax ? 0 : ctx.settings.watchPassMs)
  }
}

/** Wakes at once when an operator asks for something. */
async function idle(ctx: MoveContext, ms: number): Promise<void> {
  const until = performance.now() + ms
  while (performance.now() < until && !ctx.signal.aborted && ctx.asked() === null) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export function cutOverBackward(ctx: MoveContext): Promise<Outcome> {
  return cutOver(ctx, { flow: reversed(ctx), home: ctx.move.from, capture: false, end: 'origin' })
}

/** Empties the room that the tenant left. From here on there is no way back but another move. */
export async function complete(ctx: MoveContext): Promise<Outcome> {
  if (!(await stopCapture(ctx, ctx.target))) return again(ctx)
  await quarantine(ctx)
  const left = await clearRoom(ctx, ctx.source)
  await dropKeys(ctx, ctx.move.from.region)
  await ctx.hook('emptied')
  await forget(ctx.target)
  return { event: 'done', patch: { certificate: { ...ended(ctx), left } } }
}

/** The tenant is back where it was: empties the room that it was in meanwhile. */
export async function clear(ctx: MoveContext): Promise<Outcome> {
  await quarantine(ctx)
  const left = await clearRoom(ctx, ctx.target)
  await dropKeys(ctx, ctx.move.to.region)
  await ctx.hook('emptied')
  await forget(ctx.source)
  return { event: 'done', patch: { certificate: { ...ended(ctx), left } } }
}

/** Nothing was flipped: the source serves, and nothing of the attempt is left. */
export async function abort(ctx: MoveContext): Promise<Outcome> {
  if (await isThere(ctx.makerOf(ctx.target.placement.cluster), ctx.target)) await retreat(ctx)
  else await reopenRoom(ctx.source)
  await ctx.hook('retreated')
  if (!(await stopCapture(ctx, ctx.source))) return again(ctx)
  await clearRoom(ctx, ctx.target)
  await dropKeys(ctx, ctx.move.to.region)
  await ctx.hook('emptied')
  await forget(ctx.source)
  return { event: 'done' }
}

/** A region that the tenant is not at home in knows none of its keys. */
async function dropKeys(ctx: MoveContext, region: string): Promise<void> {
  const { move } = ctx
  if (move.from.region === move.to.region) return
  const keys = ctx.keysOf(region)
  await ctx.hook('keys')
  await whileHeld(heldBy(ctx), keys.clock, (until) => keys.remove(move.tenantId, until))
}

/** Since the flip. A database that is dropped under a gateway's statement is an error to a client; a shut one is not. */
async function quarantine({ move, settings, signal }: MoveContext): Promise<void> {
  const flippedAt = Date.parse(move.certificate?.flippedAt ?? '') || Date.now()
  while (Date.now() < flippedAt + settings.quarantineMs) {
    signal.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Waits for writers who still note, so that no note comes after the last was deleted. */
async function stopCapture(ctx: MoveContext, side: Flow['source']): Promise<boolean> {
  try {
    await changeFence(side, { capture: false }, ctx.settings.drainMs)
  } catch (error) {
    if (error instanceof Undrained) return false
    throw error
  }
  await inBooks(side, `delete from tenancy.notes where tenant_id = '${side.tenant}'`)
  return true
}

function again(ctx: MoveContext): Outcome {
  return { event: 'again', waitMs: ctx.settings.retryMs }
}

function ended({ move }: MoveContext) {
  return {
    epochs: [move.from.placement.epoch, move.to.placement.epoch] as const,
    askedBy: move.askedBy,
    startedAt: move.createdAt.toISOString(),
    endedAt: new Date().toISOString(),
  }
}
