import { InnkeeperError } from '../../tiers/errors.ts'
import { parseHost } from '../edge/host.ts'
import type { AdminContext, AdminMiddleware } from './env.ts'

/**
 * Refuses requests whose Host is a name that nobody gave this API. A page on the internet can have its own name resolve to
 * a loopback address and so make a browser talk to us as if we were that page (DNS rebinding); it then sends that name.
 * With an address in place of a name it cannot.
 *
 * @param host    the address or name that the server listens on
 * @param allowed further names
 */
export function knownHost(host: string, allowed: readonly string[]): AdminMiddleware {
  const names = new Set([host, ...allowed].map((name) => name.toLowerCase()))
  return async function knownHost(c, next) {
    const { name, isAddress } = parseHost(c.req.header('host') ?? new URL(c.req.url).host)
    if (!isAddress && name !== 'localhost' && !name.endsWith('.localhost') && !names.has(name)) {
      throw new InnkeeperError('forbidden', `The admin API is not reached by the name ${name}`, {
        hint: 'Use its address, or add the name to the allowed hosts.',
      })
    }
    await next()
  }
}

/** Whether only this machine can reach a server that listens there. */
function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/.test(address)
}

/**
 * Whether a request was made on this machine: by the other end of its socket, and not by a proxy here for somebody else.
 *
 * @param host the address that the server listens on; decides where there is no socket
 */
export function isFromHere(c: AdminContext, host: string): boolean {
  if (c.req.header('x-forwarded-for') !== undefined || c.req.header('forwarded') !== undefined) return false
  return isLoopback(c.env?.incoming?.socket.remoteAddress ?? host)
}
