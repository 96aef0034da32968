import { decodeJwt, errors, type JWTPayload, type JWTVerifyOptions, type JWTVerifyResult, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import type { JwtConfig } from '../../config/index.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { Scope } from '../../tiers/keys/types.ts'
import type { Claims } from '../../tiers/types.ts'
import { createKeySource, type KeySource } from './jwks.ts'

/** What a token proved. */
export interface VerifiedJwt {
  /** A slug or an id. */
  readonly tenant: string
  readonly scopes: readonly Scope[]
  readonly user: Claims
}

const REFUSED = 'The token is not valid'

/** A token that the issuer did sign, and that is not good: expired, say. It still tells whose it is. */
export class RefusedClaims extends InnkeeperError {
  /** As in {@link VerifiedJwt}, and empty where it names none. */
  readonly tenant: string
  constructor(why: string, cause: unknown, tenant: unknown) {
    super('unauthenticated', REFUSED, { details: why, cause })
    this.tenant = typeof tenant === 'string' ? tenant : ''
  }
}

export type VerifyJwt = (token: string) => Promise<VerifiedJwt>

/** A signature costs a hundred times the rest of the edge, and a client sends the same token with every request. */
const CACHE_MS = 30_000
const CACHE_CHARS_MAX = 8_000_000

/** Kinds of token that may be used as a credential: plain ones and access tokens (RFC 9068), not a logout token, say. */
const TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt'])

/**
 * @param now milliseconds; tests move it
 * @returns verifies a compact JWT against its issuer's entry. Throws `unauthenticated` whatever is wrong with the token,
 *          and `directory_unavailable` while its issuer's keys cannot be had
 */
export function createVerifyJwt(issuers: readonly JwtConfig[], now: () => number = Date.now): VerifyJwt {
  const entries = issuers.map((config) => ({
    config,
    keys: createKeySource({ url: new URL(config.jwksUrl), ca: config.ca }, now),
  }))
  const verified = new LRUCache<string, VerifiedJwt>({
    maxSize: CACHE_CHARS_MAX,
    sizeCalculation: (_value, token) => token.length * 2,
    perf: { now },
  })

  return async function verifyJwt(token) {
    const known = verified.get(token)
    if (known !== undefined) return known
    const { config, keys } = entryOf(entries, token)
    try {
      const { payload, protectedHeader } = await verifySigned(token, keys, {
        issuer: config.issuer,
        audience: config.audience,
        // Of public keys alone: neither `none`, nor a public key used as a shared secret, can be on the list.
        algorithms: config.algorithms,
        clockTolerance: config.clockToleranceS,
        requiredClaims: ['exp'],
        currentDate: new Date(now()),
      })
      const type = (protectedHeader.typ ?? 'jwt').toLowerCase().replace(/^application\//, '')
      if (!TYPES.has(type)) throw refused(`its type is ${type}, not that of an access token`)
      const result = read(payload, config)
      const leftMs = payload.exp! * 1000 + config.clockToleranceS * 1000 - now()
      if (leftMs > 0) verified.set(token, result, { ttl: Math.min(CACHE_MS, leftMs) })
      return result
    } catch (error) {
      if (error instanceof InnkeeperError) throw error
      if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed) {
        throw new RefusedClaims(reason(error), error, at(error.payload, config.tenantClaim))
      }
      throw refused(reason(error), error)
    }
  }
}

/**
 * With keys that are fetched anew where the signature is none of those that are known: an issuer may change a key and not
 * its id, or tell no ids.
 */
async function verifySigned(token: string, keys: KeySource, options: JWTVerifyOptions): Promise<JWTVerifyResult> {
  try {
    return await verifyWithAny(token, keys, options)
  } catch (error) {
    if (!(error instanceof errors.JWSSignatureVerificationFailed) || !(await keys.again())) throw error
    return verifyWithAny(token, keys, options)
  }
}

/** With each of the keys that fit, where no id says which. */
async function verifyWithAny(token: string, keys: KeySource, options: JWTVerifyOptions): Promise<JWTVerifyResult> {
  try {
    return await jwtVerify(token, keys, options)
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, options)
      } catch (failed) {
        if (!(failed instanceof errors.JWSSignatureVerificationFailed)) throw failed
      }
    }
    throw new errors.JWSSignatureVerificationFailed()
  }
}

/** The token says who issued it; that is believed only as far as to choose whose keys to check it with. */
function entryOf<E extends { config: JwtConfig }>(entries: readonly E[], token: string): E {
  let payload: JWTPayload
  try {
    payload = decodeJwt(token)
  } catch (cause) {
    throw refused('it is malformed', cause)
  }
  const ofIssuer = entries.filter((e) => e.config.issuer === payload.iss)
  const audiences = [payload.aud ?? []].flat()
  const entry = ofIssuer.find((e) => audiences.includes(e.config.audience)) ?? ofIssuer[0]
  if (entry === undefined) throw refused('its issuer is not one of those configured')
  return entry
}

function read(payload: JWTPayload, config: JwtConfig): VerifiedJwt {
  const tenant = at(payload, config.tenantClaim)
  if (typeof tenant !== 'string' || tenant === '') throw refused(`its claim ${config.tenantClaim} names no tenant`)
  const roles = words(at(payload, config.rolesClaim))
  const role = typeof payload.role === 'string' ? payload.role : roles[0]
  // It is kept and shared between requests.
  const user = deepFreeze({ ...payload, roles, ...(role === undefined ? {} : { role }) })
  return Object.freeze({ tenant, scopes: scopesOf(at(payload, config.scopeClaim)), user })
}

/**
 * A token with a scope claim may do what the claim lists. One without any comes from an issuer that knows no scopes: what
 * its user may do is then the application's matter, by roles.
 */
function scopesOf(claim: unknown): readonly Scope[] {
  if (claim === undefined) return ['read', 'write']
  const listed = words(claim)
  return (['read', 'write'] as const).filter((scope) => listed.includes(scope))
}

/** The value at a dotted path. A claim whose own name has dots (they are often URLs) is found first. */
function at(payload: JWTPayload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path]
  let value: unknown = payload
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

function words(claim: unknown): string[] {
  if (typeof claim === 'string') return claim.split(' ').filter(Boolean)
  return Array.isArray(claim) ? claim.filter((word) => typeof word === 'string') : []
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner)
    Object.freeze(value)
  }
  return value
}

function reason(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'it has expired'
  if (error instanceof errors.JWTClaimValidationFailed) return `its claim ${error.claim} is not right`
  if (error instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not allowed'
  return 'its signature cannot be verified'
}

function refused(why: string, cause?: unknown): InnkeeperError {
  return new InnkeeperError('unauthenticated', REFUSED, { details: why, cause })
}
