import { isInnkeeperError } from '../errors.ts'
import type { RegionHands } from './hands.ts'
import type { HalfAnswer, HalfRequest } from './requests.ts'

/** Of a fault's text: an answer has a bound. */
const TEXT_MAX = 8_000

/**
 * Does for the control plane what takes the region's own keys.
 *
 * @param onFault why it could not be done: for the log. The control plane is told what it would have seen itself
 */
export async function serveControl(
  hands: RegionHands,
  request: HalfRequest,
  onFault: (why: string) => void,
): Promise<HalfAnswer> {
  try {
    return { ok: true, told: await work(hands, request) }
  } catch (error) {
    onFault((error as Error).message)
    return { ok: false, code: 'failed', fault: faultOf(error as Error) }
  }
}

async function work(hands: RegionHands, request: HalfRequest): Promise<unknown> {
  switch (request.ask) {
    case 'install':
      await hands.install()
      return null
    case 'room':
      await hands.makeRoom(request.tenant, request.placement, request.version)
      return null
    case 'migrate':
      return hands.migrate(request, request.version)
    case 'about':
      return hands.about()
    default:
      throw new Error(`${request.ask} is not for the control plane`)
  }
}

function faultOf(error: Error): (HalfAnswer & { ok: false })['fault'] {
  const { code, details, hint } = isInnkeeperError(error) ? error : { code: 'internal' as const }
  return {
    code,
    message: error.message.slice(0, TEXT_MAX),
    ...(details === undefined ? {} : { details: details.slice(0, TEXT_MAX) }),
    ...(hint === undefined ? {} : { hint }),
  }
}
