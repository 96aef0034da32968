import type { HttpBindings } from '@hono/node-server'

/** Calls back once the answer has left, or the client has: at once where it has gone already, since that is said only once. */
export function whenClosed(outgoing: HttpBindings['outgoing'], then: () => void): void {
  if (outgoing.destroyed) then()
  else outgoing.once('close', then)
}
