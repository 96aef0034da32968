import { within } from '../../tiers/cache/within.ts'
import type { ControlPlane } from '../../tiers/control/control-plane.ts'
import { InnkeeperError, isInnkeeperError } from '../../tiers/errors.ts'

const LOOK_MS = 1_000
/** Of the network, of the `postgres` package, and of a server that goes down or comes up. */
const CODES =
  /^(?:ECONN(?:REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|CONNECT_TIMEOUT|CONNECTION_(?:CLOSED|DESTROYED|ENDED)|57P0[123]|08\d{3})$/

/**
 * Says which server did not answer: where it is the control database, nothing of the directory can be changed or read.
 *
 * @returns the error itself where it is of another kind
 */
export async function explainUnreachable(error: Error, control: ControlPlane): Promise<Error> {
  if (!isUnreachable(error)) return error
  const isControlThere = await within(control.tenants({ limit: 1 }), LOOK_MS).then(
    () => true,
    () => false,
  )
  if (isControlThere && isInnkeeperError(error)) return error
  const hint = 'A change may have been made or not: look before you repeat it. Gateways go on meanwhile.'
  return isControlThere
    ? new InnkeeperError('cluster_unavailable', 'A database server does not answer', {
        cause: error,
        hint,
        retryAfterMs: LOOK_MS,
      })
    : new InnkeeperError('directory_unavailable', 'The control database does not answer', {
        cause: error,
        hint,
        retryAfterMs: LOOK_MS,
      })
}

function isUnreachable(error: Error): boolean {
  if (isInnkeeperError(error)) return error.code === 'cluster_unavailable'
  const { code, errors } = error as Error & { code?: unknown; errors?: readonly { code?: unknown }[] }
  if (CODES.test(String(code)) || CODES.test(String(errors?.[0]?.code))) return true
  // Drizzle puts the query around it.
  return error.cause instanceof Error && isUnreachable(error.cause)
}
