import { bringKeys } from './bring-keys.ts'
import { certificateOf, certificateText, type MoveCertificate } from './certificate.ts'
import { clearRoom } from './clear.ts'
import type { MoveContext, Outcome } from './context.ts'
import { changeFence, inBooks, reopenRoom, Undrained } from './fence.ts'
import { announce, forget, heldBy, isThere, whileHeld } from './generation.ts'
import { settle } from './readiness.ts'
import { retreat } from './retreat.ts'
import { type Emptied, LeftBehind, type Look, scanPlaces, scanRows } from './scan.ts'
import type { Side } from './side.ts'

/** The states in which a room is emptied for good, and what is left of a move: its certificate. */

/** Empties the room that the tenant left. From here on there is no way back but another move. */
export async function complete(ctx: MoveContext): Promise<Outcome> {
  const { from, to } = ctx.move
  await knowAgain(ctx)
  if (!(await settle(ctx.target)) || !(await stopCapture(ctx, ctx.target))) return again(ctx)
  return empty(ctx, 'completed', {
    room: ctx.source,
    home: ctx.target,
    region: from.region,
    homeRegion: to.region,
  })
}

/** The tenant is back where it was: empties the room that it was in meanwhile. */
export async function clear(ctx: MoveContext): Promise<Outcome> {
  const { from, to } = ctx.move
  await knowAgain(ctx)
  if (!(await settle(ctx.source))) return again(ctx)
  // It may have left without forgetting what had been brought. Nothing is noted there now.
  await forgetNotes(ctx.source)
  await bringKeys(ctx, 'origin')
  return empty(ctx, 'rolled_back', {
    room: ctx.target,
    home: ctx.source,
    region: to.region,
    homeRegion: from.region,
  })
}

/** An emptying that found something left has forgotten the move already, and is done again. */
async function knowAgain(ctx: MoveContext): Promise<void> {
  for (const side of [ctx.source, ctx.target]) await announce(ctx.makerOf(side.placement.cluster), side, heldBy(ctx))
}

/**
 * Empties the room, then looks everywhere by other ways than it was emptied by. The end of a move and its certificate are
 * one transition; where anything is left there is neither.
 *
 * @throws LeftBehind
 */
async function empty(ctx: MoveContext, outcome: MoveCertificate['outcome'], emptied: Emptied): Promise<Outcome> {
  const { room, home, region, homeRegion } = emptied
  await quarantine(ctx)
  await clearRoom(ctx, room)
  await dropKeys(ctx, region)
  const [tenant] = await ctx.sql<{ slug: string }[]>`select slug from tenants where id = ${ctx.move.tenantId}`
  await ctx.cacheOf(region).remove({ ...room, slug: tenant!.slug, region, hasLeft: region !== homeRegion })
  const emptiedAt = new Date()
  await ctx.hook('emptied')
  const isStillThere = await isThere(ctx.makerOf(room.placement.cluster), room)
  const rows = isStillThere ? await scanRows(emptied) : []
  if (isStillThere) await forget(room)
  await forget(home)
  const scan = [...rows, ...(await scanPlaces(ctx, emptied))]
  const found = scan.filter((look) => look.found > 0)
  if (found.length > 0) throw new LeftBehind(found)
  const document = await certificateOf(ctx, { outcome, emptied: room.placement, emptiedAt, scan })
  const certificate = { ...ended(ctx), left: leftOf(scan) }
  return { event: 'done', patch: { certificate, signedCertificate: certificateText(document, ctx.signingKey) } }
}

function leftOf(scan: readonly Look[]) {
  const sum = (name: RegExp) => scan.filter((l) => name.test(l.what)).reduce((total, l) => total + l.found, 0)
  return { rows: sum(/^rows/), notes: sum(/notes/), fence: sum(/^fences/) }
}

/** Nothing was flipped: the source serves, and nothing of the attempt is left. */
export async function abort(ctx: MoveContext): Promise<Outcome> {
  await reopenRoom(ctx.source)
  if (await isThere(ctx.makerOf(ctx.target.placement.cluster), ctx.target)) await retreat(ctx)
  await ctx.hook('retreated')
  if (!(await stopCapture(ctx, ctx.source))) return again(ctx)
  await clearRoom(ctx, ctx.target)
  await dropKeys(ctx, ctx.move.to.region)
  await ctx.hook('emptied')
  if (await isThere(ctx.makerOf(ctx.target.placement.cluster), ctx.target)) await forget(ctx.target)
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
async function stopCapture(ctx: MoveContext, side: Side): Promise<boolean> {
  try {
    await changeFence(side, { capture: false }, ctx.settings.drainMs)
  } catch (error) {
    if (error instanceof Undrained) return false
    throw error
  }
  await forgetNotes(side)
  return true
}

function forgetNotes(side: Side): Promise<void> {
  return inBooks(side, `delete from tenancy.notes where tenant_id = '${side.tenant}'`)
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
