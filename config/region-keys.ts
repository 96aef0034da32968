import type { Read } from './read.ts'
import type { ProcessRole } from './resolve.ts'
import type { ParsedConfig } from './shape.ts'

export interface RegionKeys {
  readonly key: Buffer
  readonly keyPrevious: Buffer | null
  /**
   * Of what is stored: the first one seals, all open. The region's own key and the one before where none are named; empty
   * for the control plane and for movers, which store nothing of a region's.
   */
  readonly keyRing: readonly Buffer[]
}

export function readKeys(
  name: string,
  region: ParsedConfig['regions'][string],
  role: ProcessRole['kind'],
  read: Read,
): RegionKeys {
  const at = `regions.${name}`
  const bytes = (where: string, ref: { readonly env: string }) =>
    Buffer.from(read(`${at}.${where}`, ref, keyBytes), 'base64')
  const key = bytes('key', region.key)
  const keyPrevious = region.keyPrevious ? bytes('keyPrevious', region.keyPrevious) : null
  if (role !== 'gateway') return { key, keyPrevious, keyRing: [] }
  const keyRing = region.keyRing?.map((ref) => bytes('keyRing', ref)) ?? [key, ...(keyPrevious ? [keyPrevious] : [])]
  return { key, keyPrevious, keyRing }
}

export function keyBytes(value: string): string | null {
  const bytes = Buffer.from(value, 'base64').length
  return bytes >= 32 ? null : `decodes to ${bytes} bytes; make one of 32: openssl rand -base64 32`
}
