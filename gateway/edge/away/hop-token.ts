import { randomBytes, timingSafeEqual } from 'node:crypto'
import { InnkeeperError } from '../../../tiers/errors.ts'
import { isTenantId, type TenantId } from '../../../tiers/types.ts'
import type { HopKeys } from './hop-keys.ts'
import type { Nonces } from './nonces.ts'

/** The request header in which a gateway says what it forwards. Nobody else can make one. */
export const HOP_HEADER = 'x-innkeeper-hop'

/** What one gateway vouches for to another about one request. */
export interface Hop {
  readonly tenant: TenantId
  /** The regions of the gateway that forwards and of the one that is meant: those whose key it is, not what anybody says. */
  readonly from: string
  readonly to: string
  readonly requestId: string
  readonly clientIp: string | null
}

/** What the token is good for beside the hop's own facts: this request and no other. */
export interface HopRequest {
  readonly method: string
  /** As it stands in the request line. */
  readonly target: string
  /** That the client asked for. */
  readonly host: string
  /** As they travel between the gateways, names and values in turn. */
  readonly headers: readonly string[]
}

/** Who asks, and what kind of body comes, so that a token that was seen carries no other credential; no proxy changes them. */
const BOUND: readonly string[] = ['authorization', 'apikey', 'x-tenant-id', 'content-type', 'content-encoding']

export interface HopTokens {
  seal(hop: Omit<Hop, 'from'>, request: HopRequest): string
  /** @throws InnkeeperError `unauthenticated` for a token that is forged, expired, replayed or meant for another region */
  open(token: string, request: HopRequest): Promise<Hop>
}

interface Sealed extends Omit<Hop, 'from' | 'to'> {
  readonly nonce: string
  readonly expiresAtMs: number
}

/** How far the clocks of two gateways may be apart. */
const SKEW_MS = 5_000
const TOKEN_CHARS_MAX = 2_000

/** How long a nonce could come again. */
export const keptOf = (hopTtlMs: number): number => hopTtlMs + SKEW_MS

export interface HopTokensOptions {
  readonly keys: HopKeys
  readonly nonces: Nonces
  readonly hopTtlMs: number
  readonly now: () => number
}

export function createHopTokens({ keys, nonces, hopTtlMs, now }: HopTokensOptions): HopTokens {
  // Unique is enough: it is the signature that cannot be guessed.
  const series = randomBytes(12).toString('base64url')
  let count = 0

  return {
    seal({ to, ...hop }, request) {
      const key = keys.sealing(to)
      if (key === null) throw new InnkeeperError('internal', `Region ${to} takes nothing that is forwarded`)
      const sealed: Sealed = { ...hop, nonce: `${series}.${++count}`, expiresAtMs: now() + hopTtlMs }
      const body = `${key.id}.${Buffer.from(JSON.stringify(sealed)).toString('base64url')}`
      return `${body}.${key.macOf(signedText(body, request))}`
    },
    async open(token, request) {
      const [id = '', facts = '', mac = '', ...rest] = token.length > TOKEN_CHARS_MAX ? [] : token.split('.')
      const key = keys.opening(id)
      if (key === null) {
        if (!id.includes('~')) throw refused('The hop token is none')
        throw refused(
          keys.isMeantHere(id)
            ? 'The hop token was made with a key that is not known here'
            : 'The hop token is meant for another region',
        )
      }
      if (rest.length > 0 || !same(mac, key.macOf(signedText(`${id}.${facts}`, request)))) {
        throw refused('The hop token is not one of this request')
      }
      const { nonce, expiresAtMs, ...hop } = JSON.parse(Buffer.from(facts, 'base64url').toString()) as Sealed
      const nowMs = now()
      // One that is good for longer than tokens are would outlive the memory of its nonce.
      if (expiresAtMs <= nowMs || expiresAtMs > nowMs + keptOf(hopTtlMs)) throw refused('The hop token has expired')
      if (!isTenantId(hop.tenant)) throw refused('The hop token names no tenant')
      // A region makes up its own nonces, and may not use up another's.
      if (!(await nonces.use(`${key.from}.${nonce}`))) throw refused('The hop token was used before')
      return Object.freeze({ ...hop, from: key.from, to: key.to })
    },
  }
}

function signedText(body: string, { method, target, host, headers }: HopRequest): string {
  const bound: string[] = BOUND.map(() => '')
  for (let i = 0; i < headers.length; i += 2) {
    const at = BOUND.indexOf(headers[i]!.toLowerCase())
    // A line for each, since no header holds a line feed: two are never taken for one, nor one for another.
    if (at !== -1) bound[at] += `\n${at} ${headers[i + 1]}`
  }
  return `${body}\n${method}\n${target}\n${host}${bound.join('')}`
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

function refused(message: string): InnkeeperError {
  return new InnkeeperError('unauthenticated', message, {
    field: HOP_HEADER,
    hint: 'Only a gateway sends this header. Are the clocks of the gateways in step, and do all of them know the public keys of all regions?',
  })
}
