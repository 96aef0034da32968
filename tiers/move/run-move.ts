import type postgres from 'postgres'
import type { ClusterConfig } from '../../config/index.ts'
import type { SigningKey } from '../control/signed-document.ts'
import { isInnkeeperError } from '../errors.ts'
import type { KeyAdmin } from '../keys/admin.ts'
import type { RoomMaker } from '../rooms/maker.ts'
import { idle, reversed } from './backward.ts'
import { type RoomSequence, type RoomTable, sequencesOf, tablesOf } from './catalogue.ts'
import type { MoveContext, MoveHook, MoveSettings, Outcome } from './context.ts'
import { reopenRoom } from './fence.ts'
import { Asked } from './forward.ts'
import type { Gauges } from './gauge.ts'
import { announce, assertNotRestored, heldBy } from './generation.ts'
import { openPacer, UNPACED } from './pacer.ts'
import { keepProgress } from './progress.ts'
import type { RegionCache } from './region-cache.ts'
import { retreat } from './retreat.ts'
import { openSide } from './side.ts'
import { isBeforeFlip, isFinal, type MoveEvent, type MoveState, next, onTakeover } from './states.ts'
import { STEPS } from './steps.ts'
import { type Lease, type MoveStore, Overtaken } from './store.ts'
import type { Move, MoveRequest } from './types.ts'
import { Differs } from './verify.ts'
import type { Vigil } from './vigil.ts'

export interface RunDeps {
  readonly sql: postgres.Sql
  /** Of one connection. */
  readonly flips: postgres.Sql
  readonly store: MoveStore
  readonly settings: MoveSettings
  makerOf(cluster: string): RoomMaker
  keysOf(region: string): KeyAdmin
  cacheOf(region: string, move: string): RegionCache
  readonly signingKey: SigningKey | null
  /** @param move whose connections they are */
  clusterOf(cluster: string, move: string): ClusterConfig
  /** Whether the tenant's residency lets it go back where it came from. */
  mayReturn(move: Move): Promise<boolean>
  /** What holds moves back for their neighbours' sake; null where nothing does. */
  readonly gauges: Gauges | null
  readonly vigil: Vigil
  /** Whatever has changed of a move. */
  onChange(move: Move): void
  readonly hook?: MoveHook | undefined
}

/** What the heartbeat knows, and the work asks. */
export interface Pulse {
  asked(): MoveRequest | null
  /** What was asked for has been done, or cannot be. */
  answered(): void
  readonly signal: AbortSignal
}

const FAILURES_MAX = 5
/** How many numbers a generation has at the ends. */
const NUMBERS = 1_000_000
/** Until it is looked again whether an operator has raised the incarnation. */
const RESTORED_MS = 5_000

/**
 * Runs a claimed move from wherever it is to its end, or until the lease is lost. First this generation is made known at
 * both ends, which shuts out whoever had the move before; then each state's work, and one compare-and-set after it.
 *
 * @throws Overtaken, and what a state after the flip keeps failing with
 */
export async function runMove(deps: RunDeps, claimed: Move, lease: Lease, pulse: Pulse): Promise<void> {
  const { store, settings } = deps
  let move = claimed
  let failures = 0
  const progress = keepProgress(store, lease, move.progress, () => deps.onChange(move))
  const pacer =
    deps.gauges === null
      ? UNPACED
      : openPacer({
          clusters: [move.from.placement.cluster, move.to.placement.cluster],
          gauges: deps.gauges,
          signal: pulse.signal,
          freeMs: settings.unpacedMs,
          onHeldBack: (part) => progress.change({ throttled: Math.round(part * 100) / 100 }),
        })
  // At the ends this run is known by a number, and by a higher one after each attempt of which something may still be on
  // its way there: a lost connection says nothing about what was sent on it, and a server may do it when all is undone.
  let turn = 0
  let isKnown = false
  const side = (placement: Move['from']['placement']) =>
    openSide({
      placement,
      cluster: deps.clusterOf(placement.cluster, move.id),
      move: move.id,
      tenant: move.tenantId,
      generation: lease.generation * NUMBERS + turn,
      connectMs: 2 * settings.silentMs,
    })
  const contextOf = (): MoveContext => {
    const [source, target] = [side(move.from.placement), side(move.to.placement)]
    let tables: Promise<RoomTable[]> | null = null
    let sequences: Promise<RoomSequence[]> | null = null
    // The source's room is there until the end, except when it is being emptied: then the target's tells the same.
    const told = async () => (move.state === 'completing' ? target : source)
    const ctx: MoveContext = {
      move,
      lease,
      settings,
      sql: deps.sql,
      flips: deps.flips,
      store,
      source,
      target,
      makerOf: deps.makerOf,
      keysOf: deps.keysOf,
      pacer,
      mayReturn: () => deps.mayReturn(move),
      cacheOf: (region) => deps.cacheOf(region, move.id),
      signingKey: deps.signingKey,
      tables() {
        tables ??= told().then(async (s) => tablesOf(await s.client(), s.placement.schema))
        return tables
      },
      sequences() {
        sequences ??= told().then(async (s) => sequencesOf(await s.client(), s.placement.schema))
        return sequences
      },
      progress: progress.change,
      asked: pulse.asked,
      signal: pulse.signal,
      hook: async (point) => deps.hook?.(point, { ...ctx, move }),
    }
    return ctx
  }
  const go = async (event: MoveEvent, outcome: Omit<Outcome, 'event'> = {}) => {
    const to = next(move.state, event)
    if (to === null) throw new Error(`nothing leads out of ${move.state} by ${event}`)
    const isAnswer = move.state === 'watching' || event === 'given_up'
    if (isAnswer) pulse.answered()
    progress.change({ throttled: 0 })
    await progress.settled()
    const patch = { progress: progress.now, ...outcome.patch, ...(isAnswer ? { request: null } : {}) }
    if (outcome.flipped) {
      await store.patch(lease, patch)
      move = (await store.get(move.id))!
    } else move = await store.transition(lease, move.state, to, patch)
    deps.onChange(move)
  }

  let ctx = contextOf()
  const renew = async (inDoubt = false) => {
    await Promise.all([ctx.source.close(), ctx.target.close()])
    if (inDoubt) {
      turn++
      isKnown = false
    }
    ctx = contextOf()
  }
  const makeKnown = async () => {
    if (isKnown) return
    const held = heldBy(ctx)
    const [atSource, atTarget] = await Promise.allSettled([
      announce(deps.makerOf(move.from.placement.cluster), ctx.source, held),
      announce(deps.makerOf(move.to.placement.cluster), ctx.target, held),
    ])
    // The tenant waits for no server but its own.
    const home = homeWhileUndone(move.state)
    if (home === 'source' && atSource.status === 'fulfilled') await reopenRoom(ctx.source)
    if (home === 'target' && atTarget.status === 'fulfilled') await reopenRoom(ctx.target)
    for (const end of [atSource, atTarget]) if (end.status === 'rejected') throw end.reason
    isKnown = true
  }
  // What waits for a server that does not answer fails, as if the connection had been lost, and is tried again.
  const atEnds = (['source', 'target'] as const).map((end) => {
    const { cluster } = ctx[end].placement
    return deps.vigil.over(cluster, () => {
      ctx[end].cut()
      deps.makerOf(cluster).renew()
    })
  })
  try {
    await assertNotRestored(ctx).catch(async (error: Error) => {
      if (isInnkeeperError(error, 'conflict')) {
        await store.patch(lease, { reason: error.message })
        await pause(RESTORED_MS, pulse.signal)
      }
      throw error
    })
    await ctx.hook('claimed')
    // Before the ends are told: from here on no flip of an earlier mover's can be made, so the tenant is at home.
    const undo = onTakeover(move.state)
    if (undo !== null) await go(undo)
    ctx = { ...ctx, move }
    await makeKnown()
    while (!isFinal(move.state)) {
      pulse.signal.throwIfAborted()
      if (pulse.asked() === 'abort' && isBeforeFlip(move.state)) {
        await go('given_up', { patch: { reason: new Asked().message } })
      }
      // The move's row is another after every transition; the connections stay.
      ctx = { ...ctx, move }
      await ctx.hook(`state:${move.state}`)
      let outcome: Outcome
      try {
        await makeKnown()
        outcome = await STEPS[move.state]!(ctx)
        failures = 0
      } catch (error) {
        if (error instanceof Overtaken || isOvertaken(error) || pulse.signal.aborted) throw error
        const isFatal =
          error instanceof Differs || error instanceof Asked || isForbidden(error) || ++failures >= FAILURES_MAX
        const reason = (error as Error).message
        await renew(true)
        if (isFatal && next(move.state, 'given_up') !== null) outcome = { event: 'given_up', patch: { reason } }
        else {
          await store.patch(lease, { reason })
          outcome = { event: 'again', waitMs: Math.min(settings.retryMs * 2 ** failures, 10_000) }
        }
      }
      const { event, waitMs = 0 } = outcome
      if (event === 'again') {
        const fresh = await store.get(move.id)
        move = fresh!
      } else {
        await go(event, outcome)
        if (outcome.flipped) await idle({ ...ctx, move }, settings.calmMs)
        // What an attempt left running on these connections must not go on beside the next one.
        // After a flip the placements are others: their epochs are what the fences are asked by.
        if (event === 'postponed' || outcome.flipped || outcome.inDoubt) await renew(outcome.inDoubt)
        // Nobody is measured for the hours that it is watched.
        if (!isBeforeFlip(move.state)) await pacer.close()
      }
      if (waitMs > 0 && event === 'again') await pause(waitMs, pulse.signal)
      if (waitMs > 0 && event === 'postponed') {
        ctx = { ...ctx, move }
        await makeKnown()
        await reopen(ctx)
        await pause(waitMs, pulse.signal)
      }
    }
  } finally {
    for (const end of atEnds) end()
    await Promise.all([ctx.source.close(), ctx.target.close(), pacer.close(), progress.settled()])
  }
}

/** At once, before the wait: the tenant's requests are parked. */
async function reopen(ctx: MoveContext): Promise<void> {
  await retreat(ctx.move.state === 'rolling_back' ? reversed(ctx) : ctx)
}

/**
 * Where the tenant is at home, in states that may follow an attempt at the cut-over. Null where there was none, and in the
 * two in which a flip may be on its way: nothing is opened there before a transition has made it impossible.
 */
function homeWhileUndone(state: MoveState): 'source' | 'target' | null {
  if (state === 'catching_up' || state === 'aborting') return 'source'
  return state === 'rolling_back' || state === 'watching' ? 'target' : null
}

/** By the tenant's residency: the directory's own database refuses it, and would again, while the tenant is fenced. */
function isForbidden(error: unknown): boolean {
  return (error as { code?: string }).code === 'IK050'
}

function isOvertaken(error: unknown): boolean {
  return (error as { code?: string }).code === 'IK040'
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}
