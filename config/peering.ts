import type { KeyPairs } from './pair-keys.ts'
import type { Read } from './read.ts'
import type { Secret } from './secret.ts'
import type { ParsedConfig } from './shape.ts'
import { publicKeyOf } from './x25519.ts'

/**
 * Of a region, for what its gateways forward to other regions' and take from them. No public keys where nothing is forwarded;
 * no private ones where this process is no gateway of the region.
 */
export type RegionPeering = KeyPairs

interface WrittenPairs {
  readonly key: Secret
  readonly keyPrevious?: Secret | undefined
  readonly publicKeys: readonly (string | Secret)[]
}

type ReadPairs = KeyPairs & { readonly fault: string | null }

const NONE: ReadPairs = { publicKeys: [], keys: [], fault: null }

/** Where there is one region there is nobody to forward to. */
export function readPeering({ regions }: ParsedConfig, name: string, isOwnGateway: boolean, read: Read): ReadPairs {
  const peering = Object.keys(regions).length > 1 ? regions[name]!.peering : undefined
  return readPairs(`regions.${name}.peering`, peering, isOwnGateway, read)
}

/** @param isOwn the private keys are this process's to read */
export function readPairs(at: string, written: WrittenPairs | undefined, isOwn: boolean, read: Read): ReadPairs {
  if (written === undefined) return NONE
  const publicKeys = written.publicKeys.map((text) =>
    Buffer.from(typeof text === 'string' ? text : read(`${at}.publicKeys`, text, keyOf32), 'base64'),
  )
  const { key, keyPrevious } = written
  const keys = (isOwn ? [key, keyPrevious] : []).flatMap((ref, i) =>
    ref === undefined ? [] : [Buffer.from(read(i === 0 ? `${at}.key` : `${at}.keyPrevious`, ref, keyOf32), 'base64')],
  )
  return { publicKeys, keys, fault: faultOf(publicKeys, keys[0]) }
}

/** A process whose key the others do not know would call them in vain: that is found at its start. */
function faultOf(publicKeys: readonly Buffer[], key: Buffer | undefined): string | null {
  if (key?.length !== 32 || publicKeys.some((k) => k.length !== 32)) return null
  const own = publicKeyOf(key)
  return publicKeys.some((k) => k.equals(own))
    ? null
    : `does not hold the public half of its own key: add ${own.toString('base64')}`
}

/** Whoever shares a key with another region could speak for it. @returns the name of one that does */
export function regionOfKey(regions: Iterable<readonly [string, KeyPairs]>, { publicKeys }: KeyPairs) {
  for (const [name, other] of regions) {
    if (other.publicKeys.some((k) => k.length > 0 && publicKeys.some((own) => own.equals(k)))) return name
  }
  return null
}

function keyOf32(value: string): string | null {
  const bytes = Buffer.from(value, 'base64').length
  return bytes === 32 ? null : `decodes to ${bytes} bytes, not 32; npx innkeeper peering-key makes a pair`
}
