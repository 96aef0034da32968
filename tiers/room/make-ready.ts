import { isDatabaseError } from '../pg/batch.ts'
import type { EntranceDeps, PlacedTenant } from './entrance.ts'
import { isElsewhere } from './sqlstate.ts'
import type { StepMaker } from './steps.ts'

/** As many as the first requests need, for which others would have to be made anyway. */
const CONNECTIONS = 2
const BOUND_MS = 1_000

/**
 * Makes connections to the room that a tenant is about to live in, and knocks at its door: a new connection's first entrance
 * costs ten times a later one's, and the tenant's requests would all be waiting for it. The door is shut still, which is
 * the expected answer. Where this process does not serve that room, or anything fails, nothing is made ready.
 */
export async function makeReady(deps: EntranceDeps, steps: StepMaker, tenant: PlacedTenant): Promise<void> {
  const signal = AbortSignal.timeout(BOUND_MS)
  const knock = async () => {
    const lease = await deps.lease(tenant, signal)
    try {
      const { state, error } = await lease.connection.run(steps.opening(tenant, false, {}, ''), signal)
      const isRefused = isDatabaseError(error) && isElsewhere(error.code)
      if (state !== 'I' || !isRefused) lease.connection.doomed = true
    } catch {
      lease.connection.doomed = true
    }
    return lease
  }
  const ended = await Promise.allSettled(Array.from({ length: CONNECTIONS }, knock))
  // Not before there: the second would be the first once more.
  for (const one of ended) if (one.status === 'fulfilled') one.value.release()
}
