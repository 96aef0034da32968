import type { Flow } from './context.ts'
import { closeRoom, reopenRoom } from './fence.ts'

/**
 * Undoes what an attempt at the cut-over may have left: the target is closed first, then the source is opened again where
 * it was fenced. Only ever after a transition out of the state in which the directory could be flipped. Idempotent.
 */
export async function retreat({ source, target }: Flow): Promise<void> {
  await closeRoom(target)
  await reopenRoom(source)
}
