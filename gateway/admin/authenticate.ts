import { createHash, timingSafeEqual } from 'node:crypto'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { AdminMiddleware } from './env.ts'

/** The one token of the configuration. Operators with names and roles of their own will stand here too. */
const ACTOR = 'admin'

/**
 * Asks for the admin token as a bearer credential.
 *
 * @throws InnkeeperError `unauthenticated`
 */
export function bearerToken(token: string): AdminMiddleware {
  const wanted = digest(token)
  return async function bearerToken(c, next) {
    const given = /^Bearer +([^\s]+) *$/i.exec(c.req.header('authorization') ?? '')?.[1]
    if (given === undefined) {
      throw new InnkeeperError('unauthenticated', 'The admin API asks for a token', {
        hint: 'Send the header: Authorization: Bearer <admin token>.',
      })
    }
    // Digests have one length, so that the comparison takes the same time whatever was sent.
    if (!timingSafeEqual(digest(given), wanted)) {
      throw new InnkeeperError('unauthenticated', 'The admin token is not right', {
        hint: 'Use the value of the secret that admin.token names in the configuration.',
      })
    }
    c.set('actor', ACTOR)
    await next()
  }
}

const digest = (text: string) => createHash('sha256').update(text).digest()
