import type { GatewayContext } from './env.ts'

/**
 * Calls back once the client has taken its answer or is gone: at once where it is gone already, since nothing more is
 * heard of it, and where there is no connection to wait for.
 */
export function whenOver({ env }: Pick<GatewayContext, 'env'>, over: () => void): void {
  const outgoing = env?.outgoing
  if (outgoing === undefined || outgoing.closed) over()
  else outgoing.once('close', over)
}
