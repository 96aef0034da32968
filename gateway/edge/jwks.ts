import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose'
import { Agent, fetch } from 'undici'
import { InnkeeperError } from '../../tiers/errors.ts'
import { fullBucket, takeToken } from './token-bucket.ts'

const FETCH_TIMEOUT_MS = 3_000
const FRESH_MS = 10 * 60_000
/** How long after a failed fetch the next is tried. */
const RETRY_MS = 2_000
/** How often an unknown key id is worth a fetch: a rotation shows at once, and nobody can make us fetch at will. */
const LOOKS = { requestsPerSecond: 0.1, burst: 5 }

/** Where an issuer's keys are. */
export interface KeyServer {
  readonly url: URL
  /** The authorities whose certificates are believed, as PEM; without them those that the runtime brings. */
  readonly ca?: string | null | undefined
}

export type KeySource = JWTVerifyGetKey & {
  /** Fetches the keys, unless that was done often enough of late. @returns whether it has them anew */
  again(): Promise<boolean>
}

/**
 * The public keys of one issuer: fetched when first needed, kept, fetched again when they are old or a token names a key
 * that is not among them, which is how rotation shows. While the issuer cannot be reached the keys it last had go on.
 *
 * @throws (the returned function) `directory_unavailable` when the issuer cannot be reached and never was
 */
export function createKeySource({ url, ca }: KeyServer, now: () => number = Date.now): KeySource {
  const remote = createRemoteJWKSet(url, {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cacheMaxAge: FRESH_MS,
    // It would look again but once in so many seconds; the bucket below is kinder to two rotations in a row.
    cooldownDuration: Number.POSITIVE_INFINITY,
    ...(ca ? { [customFetch]: fetchBelieving(ca) } : {}),
  })
  const looks = fullBucket(LOOKS, now())
  let retryAt = 0

  const keyOf: JWTVerifyGetKey = async (header, token) => {
    if (now() < retryAt && !remote.fresh) return lastKnown(null)(header, token)
    try {
      return await remote(header, token)
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey && takeToken(looks, LOOKS, now())) return lookAgain(header, token)
      // The key set was read, and the token's key is not in it, or cannot be used: the token is at fault.
      if (isOfToken(error)) throw error
      retryAt = now() + RETRY_MS
      return lastKnown(error)(header, token)
    }
  }
  return Object.assign(keyOf, { again: async () => takeToken(looks, LOOKS, now()) && (await reload()) === null })

  async function lookAgain(...[header, token]: Parameters<JWTVerifyGetKey>) {
    const error = await reload()
    return error === null ? remote(header, token) : lastKnown(error)(header, token)
  }

  /** @returns why it failed; null where it did not */
  async function reload(): Promise<unknown> {
    try {
      await remote.reload()
      return null
    } catch (error) {
      retryAt = now() + RETRY_MS
      return error
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

function isOfToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  )
}

function fetchBelieving(ca: string): typeof globalThis.fetch {
  const dispatcher = new Agent({ connect: { ca } })
  const believing = (input: string, init: object) => fetch(input, { ...init, dispatcher })
  return believing as unknown as typeof globalThis.fetch
}
