import type { Read } from './read.ts'
import type { ParsedConfig } from './shape.ts'
import { publicKeyOf } from './x25519.ts'

/** Of a region, for what its gateways forward to other regions' and take from them. */
export interface RegionPeering {
  /** Of X25519, 32 bytes each; the first is what others seal for, all are believed. None where nothing is forwarded. */
  readonly publicKeys: readonly Buffer[]
  /** The private halves, the one in use first. Empty where this process is no gateway of the region. */
  readonly keys: readonly Buffer[]
}

/** Where there is one region there is nobody to forward to. */
export function readPeering(
  { regions }: ParsedConfig,
  name: string,
  isOwnGateway: boolean,
  read: Read,
): RegionPeering & { readonly fault: string | null } {
  const peering = Object.keys(regions).length > 1 ? regions[name]!.peering : undefined
  if (peering === undefined) return { publicKeys: [], keys: [], fault: null }
  const at = `regions.${name}.peering`
  const publicKeys = peering.publicKeys.map((text) =>
    Buffer.from(typeof text === 'string' ? text : read(`${at}.publicKeys`, text, keyOf32), 'base64'),
  )
  const { key, keyPrevious } = peering
  const keys = (isOwnGateway ? [key, keyPrevious] : []).flatMap((ref, i) =>
    ref === undefined ? [] : [Buffer.from(read(i === 0 ? `${at}.key` : `${at}.keyPrevious`, ref, keyOf32), 'base64')],
  )
  return { publicKeys, keys, fault: faultOf(publicKeys, keys[0]) }
}

/** A gateway whose key the others do not know would forward in vain: that is found at its start. */
function faultOf(publicKeys: readonly Buffer[], key: Buffer | undefined): string | null {
  if (key?.length !== 32 || publicKeys.some((k) => k.length !== 32)) return null
  const own = publicKeyOf(key)
  return publicKeys.some((k) => k.equals(own))
    ? null
    : `does not hold the public half of the region's key: add ${own.toString('base64')}`
}

/** Whoever shares a key with another region could speak for it. @returns the name of one that does */
export function regionOfKey(regions: Iterable<readonly [string, RegionPeering]>, { publicKeys }: RegionPeering) {
  for (const [name, other] of regions) {
    if (other.publicKeys.some((k) => k.length > 0 && publicKeys.some((own) => own.equals(k)))) return name
  }
  return null
}

function keyOf32(value: string): string | null {
  const bytes = Buffer.from(value, 'base64').length
  return bytes === 32 ? null : `decodes to ${bytes} bytes, not 32; npx innkeeper peering-key makes a pair`
}
