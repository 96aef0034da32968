import { InnkeeperError, isInnkeeperError } from '../errors.ts'
import { type AnswerHold, isRefused, refusedInDoubt } from '../pg/answer-budget.ts'
import { type BatchOutcome, isDatabaseError, type Step, type TransactionState } from '../pg/batch.ts'
import type { Lease } from '../pg/cluster-pool.ts'
import type { Placement, Tenant, TenantId } from '../types.ts'
import type { Parking } from './parking.ts'
import { isElsewhere, SQLSTATE } from './sqlstate.ts'

/** A tenant that may be served now: active, and with a placement. */
export type PlacedTenant = Tenant & { readonly placement: Placement }

/** What entering needs from the rest of the data layer. */
export interface EntranceDeps {
  /**
   * @param fresh reads past every cache
   * @throws InnkeeperError when the tenant is unknown, suspended or gone
   */
  place(id: TenantId, fresh: boolean): Promise<PlacedTenant> | PlacedTenant
  /** @param eager for a connection more, and not for one that comes back */
  lease(tenant: PlacedTenant, signal: AbortSignal | undefined, eager?: boolean): Promise<Lease>
  /** How long a request waits for a tenant that is being moved, in milliseconds. */
  readonly movingWaitMs: number
  readonly parking: Parking
}

/** A batch for a room: the steps that let it in, then the application's own from `firstOwn` on. */
export interface RoomBatch {
  readonly steps: readonly Step[]
  readonly firstOwn: number
  /** What its answer counts against. */
  readonly hold: AnswerHold
  /** Whatever is lost with its connection changed nothing. */
  readonly changesNothing: boolean
}

export interface Entered {
  readonly lease: Lease
  readonly tenant: PlacedTenant
  readonly outcome: BatchOutcome & { state: TransactionState }
}

const DIRTY_RETRIES = 5
const own = (text: string): Step => ({ text, params: [], prepared: false, rows: 'none' })
/** Stays, whatever becomes of what is sent behind it. */
const CLEANING = [own('reset all'), own('commit')]
/** As many as there may be idle connections that were all ended, and none has been heard of yet. */
const ENDED_RETRIES = 50
/** A third of a ticket's life. */
const BATCH_FRESH_MS = 5_000

/**
 * Finds the tenant's room, leases a connection and sends the batch. Where the room has moved, or is fenced while it
 * moves, nothing of the application's has been executed: the connection is given back, the directory asked again and the
 * batch made and sent anew, within a bound. Callers see latency, not an error.
 *
 * @param batchFor makes the batch, anew for each attempt because a ticket names an epoch and a text a schema
 * @returns the outcome with the lease, which the caller releases; a statement's own error is in the outcome
 * @throws InnkeeperError `tenant_moving` past the bound, `outcome_unknown` when the connection was lost, and what placing
 *   and leasing throw; no lease is held then
 */
export async function enterRoom(
  deps: EntranceDeps,
  id: TenantId,
  signal: AbortSignal | undefined,
  batchFor: (tenant: PlacedTenant) => RoomBatch,
): Promise<Entered> {
  const placed = deps.place(id, false)
  let tenant = placed instanceof Promise ? await placed : placed
  const { parking } = deps
  let deadline = 0
  let dirty = 0
  let sent = 0
  let replanned = false
  const park = async () => {
    deadline ||= performance.now() + deps.movingWaitMs
    const before = tenant.placement.epoch
    await parking.wait(id, tenant.placement.epoch, deadline - performance.now(), signal)
    tenant = await replaced(deps, tenant, false)
    // The others need not wait until it is let in.
    if (tenant.placement.epoch !== before) parking.open(id)
  }
  if (parking.has(id, tenant.placement.epoch)) await park()
  for (;;) {
    // Made before there is a lease, which nobody would give back if this threw.
    let batch = batchFor(tenant)
    const madeAt = performance.now()
    let lease: Lease
    try {
      lease = await deps.lease(tenant, signal)
    } catch (error) {
      // Moved away and removed since the directory was read: there is nothing to connect to, so nothing was executed.
      if (!isGone(error)) throw error
      const before = tenant.placement.epoch
      tenant = await deps.place(id, true)
      if (tenant.placement.epoch === before) throw error
      continue
    }
    if (performance.now() - madeAt > BATCH_FRESH_MS) {
      // Its ticket is about to be too old, or is: whoever waited long for a connection must not be refused for that.
      try {
        batch = batchFor(tenant)
      } catch (error) {
        lease.release()
        throw error
      }
    }
    const outcome = await sendClean(lease, batch, signal, ++sent <= ENDED_RETRIES)
    if (outcome === 'not begun') continue
    const refusal = outcome.error
    if (refusal === null || outcome.failedStep >= batch.firstOwn) {
      parking.open(id)
      // Undone as a whole, and never run: the connection parses the statement anew.
      if (!outcome.stalePlan || outcome.state !== 'I' || replanned) return { lease, tenant, outcome }
      replanned = true
      lease.release()
      continue
    }
    const state = codeOf(refusal)
    // A refused entrance inside an explicit BEGIN leaves a failed transaction behind.
    if (outcome.state !== 'I' || !isElsewhere(state)) lease.connection.doomed = true
    lease.release()
    if (state === SQLSTATE.dirtySession && ++dirty <= DIRTY_RETRIES) continue
    if (!isElsewhere(state)) throw explain(refusal, state)

    deadline ||= performance.now() + deps.movingWaitMs
    if (performance.now() > deadline) throw moving(refusal)
    // Parked without a connection: those are for tenants who can use them.
    const before = tenant.placement.epoch
    tenant = await replaced(deps, tenant, true)
    if (tenant.placement.epoch === before) await park()
    else parking.open(id)
  }
}

/** The tenant where it lives now; while nobody can say so, where it was: whoever waits goes on waiting. */
async function replaced(deps: EntranceDeps, tenant: PlacedTenant, fresh: boolean): Promise<PlacedTenant> {
  try {
    return await deps.place(tenant.id, fresh)
  } catch (error) {
    if (!isInnkeeperError(error, 'directory_unavailable')) throw error
    return tenant
  }
}

/**
 * Sends the batch, again where its transaction began by a default that another tenant's statement had left in the session: the
 * RESET ALL in it was undone with it. To give the connection up is not enough, because behind a proxy the session would stay as it
 * is, and be the next one's.
 */
async function sendClean(lease: Lease, batch: RoomBatch, signal: AbortSignal | undefined, mayAgain: boolean) {
  const first = await send(lease, batch, signal, mayAgain)
  if (first === 'not begun' || first.state !== 'I' || first.failedStep >= batch.firstOwn) return first
  if (codeOf(first.error) !== SQLSTATE.dirtySession) return first
  const before = CLEANING.length
  const cleaned = { ...batch, steps: [...CLEANING, ...batch.steps], firstOwn: before + batch.firstOwn }
  const outcome = await send(lease, cleaned, signal, mayAgain)
  if (outcome === 'not begun') return outcome
  return { ...outcome, results: outcome.results.slice(before), failedStep: outcome.failedStep - before }
}

function codeOf(error: Error | null): string | undefined {
  return isDatabaseError(error) ? error.code : undefined
}

/** @returns `not begun` where the connection had been ended before the application's own was executed, and it may be sent again */
async function send(lease: Lease, batch: RoomBatch, signal: AbortSignal | undefined, mayAgain: boolean) {
  try {
    return await lease.connection.run(batch.steps, signal, batch.hold)
  } catch (cause) {
    lease.connection.doomed = true
    lease.release()
    if (mayAgain && !signal?.aborted && lease.connection.endedBefore(batch.firstOwn)) return 'not begun'
    throw lost(cause, signal, batch.changesNothing)
  }
}

/** Whether a statement took effect is known only when the server is ready again: without that, nobody may repeat it. */
export function lost(cause: unknown, signal: AbortSignal | undefined, changesNothing: boolean): InnkeeperError {
  if (signal?.aborted) return givenUp(signal, cause)
  // The first says what became of it, the second that nothing did.
  if (isInnkeeperError(cause, 'payload_too_large') || isInnkeeperError(cause, 'cluster_unavailable')) return cause
  if (isRefused(cause)) return changesNothing ? cause : refusedInDoubt(cause)
  return new InnkeeperError('outcome_unknown', 'The connection to the database was lost before it answered', {
    cause,
    hint: 'It is not known whether the statement took effect: read before you repeat it.',
  })
}

/** The database that the directory named does not exist. */
function isGone(error: unknown): boolean {
  return (error as { cause?: { code?: string } }).cause?.code === '3D000'
}

/** Why the work was cancelled: ours, such as a transaction that was open for too long, or the caller's. */
export function givenUp(signal: AbortSignal, cause: unknown): InnkeeperError {
  if (signal.reason instanceof InnkeeperError) return signal.reason
  return new InnkeeperError('client_closed_request', 'The request was given up', { cause })
}

function moving(cause: unknown): InnkeeperError {
  return new InnkeeperError('tenant_moving', 'The tenant is being moved and did not become available in time', {
    cause,
    retryAfterMs: 1_000,
  })
}

function explain(error: Error, state: string | undefined): Error {
  if (state === SQLSTATE.dirtySession) {
    // Nobody left that in a session: it is what the server, or the role, is set to.
    return new InnkeeperError('cluster_unavailable', 'The database server takes no writes', {
      cause: error,
      retryAfterMs: 1_000,
    })
  }
  if (state === SQLSTATE.ticketForged || state === SQLSTATE.ticketOld) {
    return new InnkeeperError('internal', 'The database refused this gateway', {
      cause: error,
      hint:
        state === SQLSTATE.ticketOld
          ? 'Compare the clocks of the gateway and of the database server.'
          : "The region's key differs from the one the control plane installed; run `innkeeper doctor`.",
    })
  }
  return error
}
