import { applyPass } from './apply.ts'
import type { Flow, MoveContext, Outcome } from './context.ts'
import { copyRows } from './copy.ts'
import { cutOver } from './cutover.ts'
import { changeFence, Undrained } from './fence.ts'
import { guardOf } from './generation.ts'
import { type Pacer, UNPACED } from './pacer.ts'
import { LOADING, takeParts } from './parts.ts'
import { isConsiderate, makeWaitingRoom } from './pool.ts'
import { loosen, makeWhole } from './readiness.ts'
import { retreat } from './retreat.ts'
import { beginRead } from './side.ts'
import type { TableProof } from './types.ts'
import { forgetDirty, verifyAll, verifyDirty } from './verify.ts'

/** The states before the flip, one function each. Each may be begun again after a crash anywhere in it. */

export async function plan(): Promise<Outcome> {
  return { event: 'done' }
}

/** Makes the target room, shut; then switches capture on, which is committed before the first snapshot of the copy. */
export async function prepare(ctx: MoveContext): Promise<Outcome> {
  const { target, source } = ctx
  await ctx.makerOf(target.placement.cluster).prepareRoom(target.placement, guardOf(ctx))
  await requireEmpty(ctx)
  try {
    await changeFence(source, { capture: true }, ctx.settings.drainMs)
  } catch (error) {
    if (!(error instanceof Undrained)) throw error
    return tryAgain(ctx, error)
  }
  // Rows are loaded into bare tables, many times as fast.
  if (target.placement.isolation !== 'shared') await takeParts(target, LOADING)
  else if (await isConsiderate(target)) await makeWaitingRoom(target, await ctx.tables())
  await ctx.hook('bare')
  return { event: 'done', patch: { attempts: 0 } }
}

/** A room in the pool is known by the tenant alone: rows of another time there would become the tenant's. */
async function requireEmpty({ target, tables }: MoveContext): Promise<void> {
  const client = await target.client()
  const all = await tables()
  await client.transaction(beginRead(target), async () => {
    for (const { name } of all) {
      const found = await client.query(`select from ${target.table(name)} where tenant_id = $1 limit 1`, [
        target.tenant,
      ])
      if (found.length > 0) throw new Error(`there are rows of this tenant in ${name} at the target already`)
    }
  })
}

async function tryAgain({ move, settings, store, lease }: MoveContext, error: Error): Promise<Outcome> {
  const attempts = move.attempts + 1
  if (attempts >= settings.attemptsMax) throw new Error(`gave up after ${attempts} attempts: ${error.message}`)
  await store.patch(lease, { attempts, reason: error.message })
  return { event: 'again', patch: { attempts }, waitMs: settings.retryMs }
}

export async function copy(ctx: MoveContext): Promise<Outcome> {
  const { settings } = ctx
  const started = performance.now()
  let { rows, bytes } = await copiedBefore(ctx)
  let here = 0
  await copyRows(ctx.source, ctx.target, await ctx.tables(), {
    pacer: ctx.pacer,
    chunkBytes: settings.chunkBytes,
    onChunk(chunkRows, chunkBytes) {
      rows += chunkRows
      bytes += chunkBytes
      here += chunkRows
      const rowsPerSecond = Math.round(here / ((performance.now() - started) / 1000))
      ctx.progress({ rows, bytes, rowsPerSecond })
    },
    onLoaded: () => ctx.hook('loaded'),
    async mayGoOn() {
      ctx.signal.throwIfAborted()
      if (ctx.asked() === 'abort') throw new Asked()
      await ctx.hook('chunk')
      const ahead =
        settings.rowsPerSecondMax === null ? 0 : here / settings.rowsPerSecondMax - (performance.now() - started) / 1000
      if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead * 1000))
    },
  })
  return { event: 'done' }
}

/** An operator wants the move to end. */
export class Asked extends Error {
  constructor() {
    super('an operator asked for it')
  }
}

async function copiedBefore({ target }: MoveContext): Promise<{ rows: number; bytes: number }> {
  const [row] = await (await target.client()).query<{ rows: number; bytes: number }>(
    `select coalesce(sum(rows), 0)::float8 as rows, coalesce(sum(bytes), 0)::float8 as bytes
     from tenancy.move_tables where move = $1`,
    [target.move],
  )
  return row!
}

/** Passes until what is left is little, or does not get less. */
export async function catchUp(ctx: MoveContext, flow: Flow): Promise<Outcome> {
  await retreat(flow)
  await loosen(flow.target)
  let passes = 0
  let left = Number.POSITIVE_INFINITY
  for (let pacer = pacerOf(ctx, flow); ; ) {
    ctx.signal.throwIfAborted()
    const tables = await ctx.tables()
    const pass = await applyPass(flow.source, flow.target, tables, undefined, pacer)
    passes++
    ctx.progress({ lag: pass.notes, passes: ctx.move.progress.passes + passes })
    // Who rests may be overtaken by the tenant's own writes: from then on each pass follows the last at once.
    if (pass.notes > left / 2) pacer = UNPACED
    left = pass.notes
    await ctx.hook('pass')
    // The room equals a snapshot of the source from now on: what must be unique is.
    await makeWhole(flow.target, async (part) => {
      ctx.signal.throwIfAborted()
      await ctx.hook('part')
      return pacer.paced(part)
    })
    if (pass.notes <= ctx.settings.lagMax) return { event: 'done' }
    if (ctx.asked() === 'abort') throw new Asked()
    if (passes >= ctx.settings.passesMax)
      throw new Error(`the source changes faster than it can be followed: ${pass.notes} notes`)
  }
}

/** The way back is taken in haste: it is not held back. */
function pacerOf(ctx: MoveContext, flow: Flow): Pacer {
  return flow === ctx ? ctx.pacer : UNPACED
}

/**
 * A pass, and under its snapshot every row of both sides; then, until it is little, what came in while the rows were hashed,
 * so that the pause is not spent on it.
 */
export async function verify(ctx: MoveContext, flow: Flow): Promise<Outcome> {
  const tables = await ctx.tables()
  const pacer = pacerOf(ctx, flow)
  let proofs: TableProof[] = []
  const whole = async () => {
    await ctx.hook('applied')
    const started = performance.now()
    let hashed = 0
    proofs = await verifyAll(flow.source, flow.target, tables, pacer, (rows) => {
      hashed += rows
      const verified = Math.floor(hashed / 2)
      const verifiedPerSecond = Math.round(verified / ((performance.now() - started) / 1000))
      ctx.progress({ verified, verifiedPerSecond })
    })
  }
  await applyPass(flow.source, flow.target, tables, whole, pacer)
  await forgetDirty(flow.target)
  for (let left = Number.POSITIVE_INFINITY; left > ctx.settings.lagMax; ) {
    ctx.signal.throwIfAborted()
    const pass = await applyPass(flow.source, flow.target, tables, async () => {
      await verifyDirty(flow.source, flow.target, tables, Number.POSITIVE_INFINITY, pacer)
      await forgetDirty(flow.target)
    })
    if (pass.notes > left / 2) break
    left = pass.notes
  }
  const rows = proofs.reduce((sum, p) => sum + p.rows, 0)
  return { event: 'done', patch: { certificate: { tables: proofs, rows, verifiedAt: new Date().toISOString() } } }
}

export function cutOverForward(ctx: MoveContext): Promise<Outcome> {
  return cutOver(ctx, { flow: ctx, home: ctx.move.to, capture: true, end: 'destination' })
}
