import type { MoveContext } from './context.ts'
import { heldBy, whileHeld } from './generation.ts'

/**
 * API keys are their region's own: the new home's knows the tenant's before it is served there. What is made and revoked between
 * that and the flip is so at the old home, therefore once more when the tenant is at the new one: a revoked key must not open it.
 *
 * @param end which of the two homes in the move's row is the new one
 */
export async function bringKeys(ctx: MoveContext, end: 'origin' | 'destination'): Promise<void> {
  const { move, keysOf } = ctx
  if (move.from.region === move.to.region) return
  const [from, to] = end === 'destination' ? [move.from, move.to] : [move.to, move.from]
  const there = keysOf(to.region)
  await whileHeld(heldBy(ctx), there.clock, (until) => keysOf(from.region).copyTo(there, move.tenantId, until))
}
