import { createHash, hkdfSync } from 'node:crypto'
import type { Config } from '../../../config/index.ts'
import { publicKeyOf, sharedSecret } from '../../../config/x25519.ts'
import { InnkeeperError } from '../../../tiers/errors.ts'
import { createHmacOf } from './hmac.ts'

/** A key that two regions have and no third, for one direction between them. */
export interface HopKey {
  /** The names of the sender's key and of the receiver's, in one word. */
  readonly id: string
  readonly from: string
  readonly to: string
  readonly macOf: (text: string) => string
}

export interface HopKeys {
  /** What this region signs with for another; null where that one takes nothing. */
  sealing(to: string): HopKey | null
  /** The key of a token that was meant for this region; null where it is not known. */
  opening(id: string): HopKey | null
  /** Whether the token was meant for this region, whoever made it. */
  isMeantHere(id: string): boolean
}

/**
 * The keys of hops, made from this region's private keys and the public keys of all (static Diffie-Hellman, X25519), so
 * that no region's gateways can speak for another's to a third, and whoever steals one region's key can forge only what
 * comes from that region or goes to it. A signature (Ed25519) would take the second away as well; it costs 80 µs of
 * processor time for a hop, which is as much as the rest of the hop, and a MAC 4.
 *
 * @returns null where this region has no key: then nothing is forwarded, and no token is believed
 */
export function createHopKeys(config: Pick<Config, 'regions'>, region: string): HopKeys | null {
  const own = config.regions.get(region)!.peering
  if (own.keys.length === 0) return null
  const names = own.keys.map((key) => nameOf(publicKeyOf(key)))
  const sealing = new Map<string, HopKey>()
  const opening = new Map<string, HopKey>()
  for (const [peer, { peering }] of config.regions) {
    if (peer === region) continue
    for (const [i, publicKey] of peering.publicKeys.entries()) {
      for (const [j, key] of own.keys.entries()) {
        const secret = secretOf(peer, key, publicKey)
        const theirs = nameOf(publicKey)
        if (i === 0 && j === 0) sealing.set(peer, hopKey(secret, `${names[j]}~${theirs}`, region, peer))
        const taken = hopKey(secret, `${theirs}~${names[j]}`, peer, region)
        opening.set(taken.id, taken)
      }
    }
  }
  return {
    sealing: (to) => sealing.get(to) ?? null,
    opening: (id) => opening.get(id) ?? null,
    isMeantHere: (id) => names.includes(id.slice(id.indexOf('~') + 1)),
  }
}

/** The direction and both keys are part of what is derived (RFC 5869): no token can be turned round. */
function hopKey(secret: Buffer, id: string, from: string, to: string): HopKey {
  const key = Buffer.from(hkdfSync('sha256', secret, 'innkeeper', `hop\n${from}\n${to}\n${id}`, 32))
  return { id, from, to, macOf: createHmacOf(key) }
}

function nameOf(publicKey: Buffer): string {
  return createHash('sha256').update(publicKey).digest('base64url').slice(0, 16)
}

function secretOf(peer: string, key: Buffer, publicKey: Buffer): Buffer {
  try {
    return sharedSecret(key, publicKey)
  } catch (cause) {
    throw new InnkeeperError('invalid_config', `regions.${peer}.peering.publicKeys holds what is no key of X25519`, {
      hint: 'npx innkeeper peering-key makes a pair.',
      cause,
    })
  }
}
