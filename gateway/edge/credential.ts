import { InnkeeperError } from '../../tiers/errors.ts'
import { tenantOfKeyText } from '../../tiers/keys/text.ts'
import type { TenantId } from '../../tiers/types.ts'

/** What a request brings to prove who it is, read but not yet checked. At least one of the two is there. */
export interface Credential {
  readonly key: { readonly text: string; readonly tenantId: TenantId } | null
  /** A JSON Web Token in its compact form. */
  readonly jwt: string | null
}

const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i
const COMPACT_JWT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/**
 * Reads the `apikey` and `Authorization` headers. The official clients send both: the same key twice, or the key and a
 * signed-in user's JWT. A header sent twice arrives joined by a comma, which no credential holds.
 *
 * @throws InnkeeperError `unauthenticated` when there is none, one is malformed, or there are two of a kind
 */
export function readCredential(headers: Headers): Credential {
  const apikey = headers.get('apikey')
  const authorization = headers.get('authorization')
  if (apikey === null && authorization === null) {
    throw new InnkeeperError('unauthenticated', 'There is no credential', {
      hint: 'Send an API key in the apikey header, or as Authorization: Bearer.',
    })
  }
  const first = apikey === null ? null : parse(apikey, 'apikey')
  const second = authorization === null ? null : parse(bearer(authorization), 'Authorization')
  if (first === null || second === null) return (first ?? second)!
  return {
    key: one(first.key, second.key, (k) => k.text),
    jwt: one(first.jwt, second.jwt, (token) => token),
  }
}

function bearer(authorization: string): string {
  const token = BEARER.exec(authorization)?.[1]
  if (token === undefined) throw malformed('Authorization')
  return token
}

function parse(text: string, field: string): Credential {
  const tenantId = tenantOfKeyText(text)
  if (tenantId !== null) return { key: { text, tenantId }, jwt: null }
  if (COMPACT_JWT.test(text)) return { key: null, jwt: text }
  throw malformed(field)
}

function one<T>(a: T | null, b: T | null, textOf: (value: T) => string): T | null {
  if (a !== null && b !== null && textOf(a) !== textOf(b)) {
    throw new InnkeeperError('unauthenticated', 'The apikey and Authorization headers hold two different credentials', {
      hint: 'Send one of them, or an API key and a JWT of the same tenant.',
    })
  }
  return a ?? b
}

function malformed(field: string): InnkeeperError {
  return new InnkeeperError('unauthenticated', 'The credential is malformed', {
    field,
    hint: 'It is an API key (ink_...) or a JWT; in Authorization after the word Bearer. Send each header once.',
  })
}
