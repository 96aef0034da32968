import { quoteIdent } from '../quote.ts'
import { OWNER } from '../tenancy/roles.ts'
import type { Paced } from './pacer.ts'
import { ACTING, LOADING, type Phase, returnParts, returnPartsAtOnce, returnPartsLive, takeParts } from './parts.ts'
import { beginBooks, type Side } from './side.ts'

/**
 * What a room of the tenant's own needs to be ready for: being written by passes, and being served. Where the mover may
 * silence triggers and foreign keys they are there all the time; else they are taken away while passes come in, and put
 * back in the pause, without a look at the rows, which is had when the room is served. In the pool nothing can be taken
 * away, and nothing is.
 */

const WHILE_CATCHING_UP: readonly Phase[] = ['index', 'capture']
const IN_THE_PAUSE: readonly Phase[] = ['reference', 'trigger']
const WHILE_SERVED: readonly Phase[] = ['validation', 'force']

/** Before the first pass that comes into a room. Nobody is in it. Idempotent. */
export async function loosen(target: Side): Promise<void> {
  if (await isLoose(target)) await takeParts(target, ACTING)
}

/** After a pass: all that may be there while others come in. Costs one look where nothing is missing. */
export async function makeWhole(target: Side, paced: Paced): Promise<void> {
  if (target.placement.isolation === 'shared') return
  const phases = (await target.maySilence()) ? LOADING : WHILE_CATCHING_UP
  if ((await returnParts(target, phases, paced)) === 0) return
  // Nobody has looked at the new tables yet, and the first statements of the tenant are planned by what is known of them.
  const client = await target.client()
  const tables = await client.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class where relnamespace = $1::text::regnamespace and relkind = 'r'`,
    [quoteIdent(target.placement.schema)],
  )
  await client.transaction(beginBooks(target), () =>
    client.script(`set local role ${OWNER}; analyze ${tables.map((t) => t.name).join(', ')}; reset role`),
  )
}

/** Whether something comes back only in the pause. */
export async function isLoose(target: Side): Promise<boolean> {
  return target.placement.isolation !== 'shared' && !(await target.maySilence())
}

/** Before the room is opened, in the pause. */
export async function tighten(target: Side): Promise<void> {
  if (await isLoose(target)) await returnPartsAtOnce(target, IN_THE_PAUSE)
}

/** While the room is served. @returns false where a statement of the tenant's was in the way: to be asked again */
export async function settle(side: Side): Promise<boolean> {
  return side.placement.isolation === 'shared' || returnPartsLive(side, WHILE_SERVED)
}
