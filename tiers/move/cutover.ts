import { setTimeout as sleep } from 'node:timers/promises'
import { sayHeading } from '../directory/headings.ts'
import { applyPass } from './apply.ts'
import { bringKeys } from './bring-keys.ts'
import type { Flow, MoveContext, Outcome } from './context.ts'
import { deadlineOf, warmUp } from './deadline.ts'
import { changeFence, opening, openRoom, Undrained } from './fence.ts'
import { type Flip, flip, rehearse } from './flip.ts'
import { type Fence, fenceAndRead, type LastPass } from './last-pass.ts'
import { isConsiderate } from './pool.ts'
import { isLoose, tighten } from './readiness.ts'
import { continueSequences } from './sequences.ts'
import { next } from './states.ts'
import { Overtaken } from './store.ts'
import type { Home } from './types.ts'
import { Differs, forgetDirty, verifyDirty } from './verify.ts'

export interface CutOver {
  readonly flow: Flow
  readonly home: Home
  /** Whether what is written at the new home is noted from the first write on. */
  readonly capture: boolean
  /** Which of the two homes in the move's row is the new one. */
  readonly end: 'origin' | 'destination'
}

/**
 * One attempt at the cut-over. What can be brought over and compared while the tenant is served is; then each step is
 * committed before the next: the source is fenced; the last changes, the sequences and what has changed since it was
 * compared are brought over; the target is opened at an epoch that was never used; when both ends are known to be the same, the
 * directory is flipped.
 * Up to the flip the attempt can be called off, by a compare-and-set on the same state, and the source opened again: then
 * no request has failed, and none has been served by the target.
 */
export async function cutOver(ctx: MoveContext, { flow, home, capture, end }: CutOver): Promise<Outcome> {
  const { move, settings, lease } = ctx
  const attempts = move.attempts + 1
  const postponed = (reason: string): Outcome =>
    attempts >= settings.attemptsMax
      ? { event: 'given_up', patch: { attempts, reason: `gave up after ${attempts} attempts: ${reason}` } }
      : { event: 'postponed', patch: { attempts, reason }, waitMs: settings.retryMs }

  await bringKeys(ctx, end)
  await sayHeading(ctx.sql, { tenant: move.tenantId, placement: home.placement })
  const epoch = await nextEpoch(ctx, end, attempts)
  await warmUp(ctx, flow)
  const deadlineMs = await deadlineOf(ctx, flow)
  await sleep(settings.headingMs)
  const to = next(move.state, 'done')!
  const change: Omit<Flip, 'pauseMs'> = {
    from: move.state,
    to,
    end,
    home: { ...home, placement: { ...home.placement, epoch } },
  }
  await rehearse(ctx.flips, lease, { ...change, pauseMs: 0 })
  const isWatched = end === 'destination' && (await ctx.mayReturn())
  await ctx.hook('before_fence')
  let started = performance.now()
  const elapsed = () => performance.now() - started
  let compared: number | null = null
  let last: LastPass | null = null
  try {
    // While nobody waits: the pause is left with what comes in from here on.
    const [tables, sequences] = [await ctx.tables(), await ctx.sequences()]
    const compare = () => verifyDirty(flow.source, flow.target, tables, settings.dirtyMax)
    // It may be open before it is known to be equal: nobody knows the way there before the flip.
    const behind = (await isLoose(flow.target)) ? '' : opening(flow.target, epoch, capture)
    let isClean = false
    // Sequences first, so that the time in which notes gather is short.
    const ids = await continueSequences(flow.source, flow.target, sequences)
    const pass = await applyPass(flow.source, flow.target, tables, async () => {
      isClean = (await compare()) !== null
      if (isClean) await forgetDirty(flow.target)
    })
    started = performance.now()
    await within(deadlineMs, async () => {
      const fence: Fence = { change: { state: 'fenced', capture: false, heard: epoch }, boundMs: settings.drainMs }
      last =
        isClean && !(await isConsiderate(flow.target))
          ? await fenceAndRead(flow, fence, tables, sequences, { tables: pass.tables, sequences: ids })
          : await changeFence(flow.source, fence.change, fence.boundMs).then(() => null)
      await ctx.hook('fenced')
      if (last !== null) compared = await last.bring(behind)
      else {
        await applyPass(flow.source, flow.target, tables, async () => {
          compared = await compare()
        })
        if (compared === null) throw new Late('too much changed since the verification')
        await continueSequences(flow.source, flow.target, sequences)
      }
      await ctx.hook('drained')
      await ctx.hook('compared')
      await tighten(flow.target)
      await ctx.hook('tightened')
      if (last === null || behind === '') await openRoom(flow.target, epoch, capture)
      await ctx.hook('opened')
    })
  } catch (error) {
    if (error instanceof Differs || error instanceof Overtaken) throw error
    if (error instanceof Undrained) return postponed(error.message)
    if (error instanceof Late) return { ...postponed(error.message), inDoubt: true }
    // Whatever it was, the source can serve on; an error that stays ends the move after so many attempts.
    return { ...postponed(`the cut-over failed: ${(error as Error).message}`), inDoubt: true }
  }
  // What was brought is there, whatever becomes of the flip. A source that does not hear of it is emptied in the end, or home again.
  const forgotten = forget(last)
  await flip(ctx, lease, { ...change, pauseMs: elapsed() }).finally(() => forgotten)
  await ctx.hook('flipped')
  return {
    event: 'done',
    flipped: true,
    patch: {
      pauseMs: elapsed(),
      attempts,
      certificate: { comparedUnderFence: compared! },
      // Who asks as soon as the tenant is served in its new home is told until when it may go back.
      ...(isWatched ? { watchUntil: new Date(Date.now() + settings.watchMs) } : {}),
    },
  }
}

async function forget(last: LastPass | null): Promise<void> {
  await last?.forget().catch(() => {})
}

class Late extends Error {}

/**
 * Stops waiting for the work when the time is over. What still runs of it never reaches the flip; nor can it fence or open a
 * room later, because the mover goes on under another number.
 */
async function within(ms: number, work: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Late(`it took longer than ${Math.round(ms)} ms`)), ms)
  })
  const running = work()
  running.catch(() => {})
  try {
    await Promise.race([running, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Each attempt has an epoch of its own, written down before anything is opened at it. */
async function nextEpoch(
  { sql, lease, move }: MoveContext,
  end: 'origin' | 'destination',
  attempts: number,
): Promise<number> {
  const column = sql(end)
  const [row] = await sql<{ epoch: number }[]>`
    with given as (
      update tenants set epoch_last = next_epoch() where id = ${move.tenantId} returning epoch_last
    )
    update moves set attempts = ${attempts}, ${column} = jsonb_set(${column}, '{placement,epoch}', to_jsonb((select epoch_last from given)))
    where id = ${lease.id} and state = ${move.state} and lease_owner = ${lease.owner} and generation = ${lease.generation}
    returning (select epoch_last::float8 from given) as epoch`
  if (row === undefined) throw new Overtaken()
  return row.epoch
}
