import { hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { PeeringConfig } from '../../../config/index.ts'
import { InnkeeperError } from '../../../tiers/errors.ts'
import { isTenantId, type TenantId } from '../../../tiers/types.ts'
import { createHmacOf } from './hmac.ts'

/** The request header in which a gateway says what it forwards. Nobody else can make one. */
export const HOP_HEADER = 'x-innkeeper-hop'

/** What one gateway vouches for to another about one request. */
export interface Hop {
  readonly tenant: TenantId
  /** The regions of the gateway that forwards and of the one that is meant. */
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
}

export interface HopTokens {
  seal(hop: Hop, request: HopRequest): string
  /** @throws InnkeeperError `unauthenticated` for a token that is forged, expired, replayed or meant for another region */
  open(token: string, region: string, request: HopRequest): Hop
}

interface Sealed extends Hop {
  readonly nonce: string
  readonly expiresAtMs: number
}

/** How far the clocks of two gateways may be apart. */
const SKEW_MS = 5_000
const TOKEN_CHARS_MAX = 2_000

/** @returns null without a key: then nothing is forwarded, and no token is believed */
export function createHopTokens(peering: PeeringConfig, now: () => number): HopTokens | null {
  const { key, keyPrevious, hopTtlMs } = peering
  if (key === null) return null
  const macs = [key, ...(keyPrevious === null ? [] : [keyPrevious])].map((k) =>
    createHmacOf(Buffer.from(hkdfSync('sha256', k, 'innkeeper', 'hop', 32))),
  )
  // Unique is enough: it is the signature that cannot be guessed.
  const series = randomBytes(12).toString('base64url')
  let count = 0
  const isNew = createNonces(hopTtlMs + SKEW_MS, now)

  return {
    seal(hop, request) {
      const sealed: Sealed = { ...hop, nonce: `${series}.${++count}`, expiresAtMs: now() + hopTtlMs }
      const body = Buffer.from(JSON.stringify(sealed)).toString('base64url')
      return `${body}.${macs[0]!(signedText(body, request))}`
    },
    open(token, region, request) {
      const [body = '', mac = '', ...rest] = token.length > TOKEN_CHARS_MAX ? [] : token.split('.')
      const isSigned = rest.length === 0 && macs.some((macOf) => same(mac, macOf(signedText(body, request))))
      if (!isSigned) throw refused('The hop token is not one of this request')
      const { nonce, expiresAtMs, ...hop } = JSON.parse(Buffer.from(body, 'base64url').toString()) as Sealed
      const nowMs = now()
      // One that is good for longer than tokens are would outlive the memory of its nonce.
      if (expiresAtMs <= nowMs || expiresAtMs > nowMs + hopTtlMs + SKEW_MS) throw refused('The hop token has expired')
      if (hop.to !== region || !isTenantId(hop.tenant)) throw refused('The hop token is meant for another region')
      if (!isNew(nonce)) throw refused('The hop token was used before')
      return Object.freeze(hop)
    },
  }
}

function signedText(body: string, { method, target, host }: HopRequest): string {
  return `${body}\n${method}\n${target}\n${host}`
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** Remembers what was seen for as long as it could be seen again: in two halves, the older of which is dropped whole. */
function createNonces(keptMs: number, now: () => number): (nonce: string) => boolean {
  let young = new Set<string>()
  let old = new Set<string>()
  let turnsAtMs = now() + keptMs
  return (nonce) => {
    const nowMs = now()
    if (nowMs >= turnsAtMs) {
      old = nowMs >= turnsAtMs + keptMs ? new Set() : young
      young = new Set()
      turnsAtMs = nowMs + keptMs
    }
    if (young.has(nonce) || old.has(nonce)) return false
    young.add(nonce)
    return true
  }
}

function refused(message: string): InnkeeperError {
  return new InnkeeperError('unauthenticated', message, {
    field: HOP_HEADER,
    hint: 'Only a gateway sends this header. Are the clocks of the gateways in step, and peering.key the same?',
  })
}
