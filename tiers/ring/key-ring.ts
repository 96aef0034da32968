import { createHash, hkdfSync } from 'node:crypto'
import { InnkeeperError } from '../errors.ts'

/** A region's keys for what is stored: one seals, all open. */
export interface KeyRing {
  readonly region: string
  /** The name of the key that seals. */
  readonly currentId: string
  has(id: string): boolean
  /** @throws InnkeeperError `invalid_config` for a key that is not in the ring */
  keyOf(id: string): Buffer
}

/**
 * @param secrets `regions.*.keyRing` of the configuration, or else the region's key and the one before it; the first is
 *   the one in use. The region is part of each key, so that one secret in two regions still makes two rings.
 */
export function keyRing(region: string, secrets: readonly Buffer[]): KeyRing {
  const keys = new Map<string, Buffer>()
  for (const secret of secrets) {
    const key = Buffer.from(hkdfSync('sha256', secret, 'innkeeper', `ring:${region}`, 32))
    // A name that tells nothing of the key, and is the same wherever the key is.
    keys.set(createHash('sha256').update('ring id').update(key).digest('hex').slice(0, 16), key)
  }
  const [currentId] = keys.keys()
  if (currentId === undefined) throw new InnkeeperError('internal', `The key ring of region ${region} is empty`)
  return {
    region,
    currentId,
    has: (id) => keys.has(id),
    keyOf(id) {
      const key = keys.get(id)
      if (key !== undefined) return key
      throw new InnkeeperError('invalid_config', `Key ${id} is not in the key ring of region ${region}`, {
        details: `It has ${[...keys.keys()].join(', ')}.`,
        hint: `Add the secret that this was sealed with to regions.${region}.keyRing, after the one in use.`,
      })
    },
  }
}
