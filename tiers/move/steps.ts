import { cutOverBackward, reversed, watch } from './backward.ts'
import type { Step } from './context.ts'
import { abort, clear, complete } from './ending.ts'
import { catchUp, copy, cutOverForward, plan, prepare, verify } from './forward.ts'
import type { MoveState } from './states.ts'
import type { Certificate } from './types.ts'

/** The work of every state that has any. */
export const STEPS: Readonly<Record<MoveState, Step | null>> = {
  planned: plan,
  preparing: prepare,
  copying: copy,
  catching_up: (ctx) => catchUp(ctx, ctx),
  verifying: (ctx) => verify(ctx, ctx),
  cutting_over: cutOverForward,
  watching: watch,
  completing: complete,
  completed: null,
  // Catches up and verifies in one state: while it lasts the tenant is served by the new home.
  rolling_back: async (ctx) => {
    await catchUp(ctx, reversed(ctx))
    const { event, patch } = await verify(ctx, reversed(ctx))
    const { tables, rows, verifiedAt } = patch!.certificate as Certificate
    return { event, patch: { certificate: { wayBack: { tables, rows, verifiedAt } } } }
  },
  returning: cutOverBackward,
  clearing: clear,
  rolled_back: null,
  aborting: abort,
  aborted: null,
}
