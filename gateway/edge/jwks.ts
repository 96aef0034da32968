import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose'
import { InnkeeperError } from '../../tiers/errors.ts'

const FETCH_TIMEOUT_MS = 3_000
/** How long an unknown key id is simply unknown, after a fetch: else anyone could make us fetch at will. */
const COOLDOWN_MS = 10_000
const FRESH_MS = 10 * 60_000
/** How long after a failed fetch the next is tried. */
const RETRY_MS = 2_000

/**
 * The public keys of one issuer: fetched when first needed, kept, fetched again when they are old or a token names a key
 * that is not among them, which is how rotation shows. While the issuer cannot be reached the keys it last had go on.
 *
 * @throws (the returned function) `directory_unavailable` when the issuer cannot be reached and never was
 */
export function createKeySource(url: URL, now: () => number = Date.now): JWTVerifyGetKey {
  const remote = createRemoteJWKSet(url, {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cooldownDuration: COOLDOWN_MS,
    cacheMaxAge: FRESH_MS,
  })
  let retryAt = 0

  return async function keyOf(header, token) {
    if (now() < retryAt && !remote.fresh) return lastKnown(null)(header, token)
    try {
      return await remote(header, token)
    } catch (error) {
      // The key set was read, and the token's key is not in it, or cannot be used: the token is at fault.
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error
      if (error instanceof errors.JOSENotSupported) throw error
      retryAt = now() + RETRY_MS
      return lastKnown(error)(header, token)
    }
  }

  function lastKnown(cause: unknown): JWTVerifyGetKey {
    const jwks = remote.jwks()
    if (jwks !== undefined) return createLocalJWKSet(jwks)
    throw new InnkeeperError('directory_unavailable', 'The keys of the token issuer cannot be fetched at the moment', {
      retryAfterMs: RETRY_MS,
      cause,
    })
  }
}
