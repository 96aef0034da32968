import { createHash, hkdfSync } from 'node:crypto'
import { publicKeyOf, sharedSecret } from './x25519.ts'

/** Keys of X25519, 32 bytes each; the first is in use, the others belong to a rotation. */
export interface KeyPairs {
  readonly publicKeys: readonly Buffer[]
  readonly keys: readonly Buffer[]
}

/** A key that two regions have and no third, for one direction between them. */
export interface PairKey {
  /** The names of the caller's key and of the other's, in one word. */
  readonly id: string
  readonly from: string
  readonly to: string
  readonly key: Buffer
}

export interface PairKeys {
  /** What this region calls another with; null where that one has no key. */
  calling(to: string): PairKey | null
  /** The key of a call that was meant for this region; null where it is not known. */
  called(id: string): PairKey | null
  /** Whether a call was meant for this region, whoever made it. */
  isMeantHere(id: string): boolean
}

/** What the keys are for, and where in a region's configuration they are written. */
const FIELDS = { hop: 'peering', half: 'mover' } as const
export type PairPurpose = keyof typeof FIELDS

/**
 * The keys between one region and all others, made from its private keys and their public ones (static Diffie-Hellman), so
 * that whoever steals one region's key can speak for that region and to it, and for no other two.
 *
 * @param purpose part of what is derived (RFC 5869), as are the direction and both keys: none is good for anything else
 * @throws TypeError for a public key that is none of X25519, which names its place
 */
export function pairKeys(purpose: PairPurpose, own: string, regions: ReadonlyMap<string, KeyPairs>): PairKeys {
  const { keys } = regions.get(own)!
  const names = keys.map((key) => nameOf(publicKeyOf(key)))
  const calling = new Map<string, PairKey>()
  const called = new Map<string, PairKey>()
  for (const [peer, { publicKeys }] of regions) {
    if (peer === own) continue
    for (const [i, publicKey] of publicKeys.entries()) {
      for (const [j, key] of keys.entries()) {
        const secret = secretOf(`regions.${peer}.${FIELDS[purpose]}`, key, publicKey)
        const theirs = nameOf(publicKey)
        if (i === 0 && j === 0) calling.set(peer, pairKey(purpose, secret, `${names[j]}~${theirs}`, own, peer))
        const taken = pairKey(purpose, secret, `${theirs}~${names[j]}`, peer, own)
        called.set(taken.id, taken)
      }
    }
  }
  return {
    calling: (to) => calling.get(to) ?? null,
    called: (id) => called.get(id) ?? null,
    isMeantHere: (id) => names.includes(id.slice(id.indexOf('~') + 1)),
  }
}

function pairKey(purpose: PairPurpose, secret: Buffer, id: string, from: string, to: string): PairKey {
  const key = Buffer.from(hkdfSync('sha256', secret, 'innkeeper', `${purpose}\n${from}\n${to}\n${id}`, 32))
  return { id, from, to, key }
}

function nameOf(publicKey: Buffer): string {
  return createHash('sha256').update(publicKey).digest('base64url').slice(0, 16)
}

function secretOf(at: string, key: Buffer, publicKey: Buffer): Buffer {
  try {
    return sharedSecret(key, publicKey)
  } catch (cause) {
    throw new TypeError(`${at}.publicKeys holds what is no key of X25519`, { cause })
  }
}
