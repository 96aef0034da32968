import { InnkeeperError } from '../../tiers/errors.ts'
import { parseHost } from '../edge/host.ts'
import type { AdminMiddleware } from './env.ts'

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
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
