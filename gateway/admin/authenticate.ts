import { createHash, timingSafeEqual } from 'node:crypto'
import { InnkeeperError } from '../../tiers/errors.ts'
import { type Operators, TOKEN_PREFIX } from '../../tiers/operators/operators.ts'
import type { AdminMiddleware } from './env.ts'

/** Whoever has the one token of the configuration: it is there before any operator is, and when the control database is not. */
const ACTOR = 'admin'

/**
 * Asks for the admin token, or an operator's, as a bearer credential, and says who is asking and in what role.
 *
 * @throws InnkeeperError `unauthenticated`, `directory_unavailable` where an operator's token cannot be looked up
 */
export function bearerToken(token: string, operators: Operators): AdminMiddleware {
  const wanted = digest(token)
  return async function bearerToken(c, next) {
    const given = /^Bearer +([^\s]+) *$/i.exec(c.req.header('authorization') ?? '')?.[1]
    if (given === undefined) {
      throw new InnkeeperError('unauthenticated', 'The admin API asks for a token', {
        hint: 'Send the header: Authorization: Bearer <admin token>.',
      })
    }
    // Digests have one length, so that the comparison takes the same time whatever was sent.
    if (timingSafeEqual(digest(given), wanted)) {
      c.set('actor', ACTOR)
      c.set('role', 'admin')
      return next()
    }
    const operator = given.startsWith(TOKEN_PREFIX) ? await lookUp(operators, given) : null
    if (operator === null) {
      throw new InnkeeperError('unauthenticated', 'The admin token is not right', {
        hint: 'Use the value of the secret that admin.token names, or a token of `innkeeper operators create`.',
      })
    }
    c.set('actor', operator.name)
    c.set('role', operator.role)
    await next()
  }
}

async function lookUp(operators: Operators, token: string) {
  try {
    return await operators.byToken(token)
  } catch (cause) {
    throw new InnkeeperError('directory_unavailable', 'The token cannot be looked up now', {
      cause,
      retryAfterMs: 1_000,
    })
  }
}

const digest = (text: string) => createHash('sha256').update(text).digest()
