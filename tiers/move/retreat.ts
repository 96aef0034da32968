import type { Flow } from './context.ts'
import { closeRoom, reopenRoom } from './fence.ts'

/**
 * Undoes what an attempt at the cut-over may have left: the source is opened again where it was fenced, then the target
 * closed. In that order, so that a tenant does not wait for a server that it does not live on; nobody enters the target
 * meanwhile, since the directory never named the epoch that it may be open at. Only ever after a transition out of the
 * state in which the directory could be flipped. Idempotent.
 */
export async function retreat({ source, target }: Flow): Promise<void> {
  await reopenRoom(source)
  await closeRoom(target)
}
