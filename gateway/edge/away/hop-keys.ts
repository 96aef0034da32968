import type { Config } from '../../../config/index.ts'
import { type PairKey, pairKeys } from '../../../config/pair-keys.ts'
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
 * The keys of hops, made from this region's private keys and the public keys of all, so that no region's gateways can speak
 * for another's to a third, and whoever steals one region's key can forge only what comes from that region or goes to it. A
 * signature (Ed25519) would take the second away as well; it costs 80 µs of processor time for a hop, which is as much as
 * the rest of the hop, and a MAC 4.
 *
 * @returns null where this region has no key: then nothing is forwarded, and no token is believed
 */
export function createHopKeys(config: Pick<Config, 'regions'>, region: string): HopKeys | null {
  if (config.regions.get(region)!.peering.keys.length === 0) return null
  const { calling, called, isMeantHere } = derived(config, region)
  const hopKeys = new Map<string, HopKey>()
  const hopKey = (pair: PairKey | null): HopKey | null => {
    if (pair === null) return null
    const { key, ...rest } = pair
    // Made once: a hop's worth of work is little.
    const made = hopKeys.get(pair.id) ?? { ...rest, macOf: createHmacOf(key) }
    hopKeys.set(pair.id, made)
    return made
  }
  return { sealing: (to) => hopKey(calling(to)), opening: (id) => hopKey(called(id)), isMeantHere }
}

function derived({ regions }: Pick<Config, 'regions'>, region: string) {
  try {
    return pairKeys('hop', region, new Map([...regions].map(([name, { peering }]) => [name, peering])))
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw new InnkeeperError('invalid_config', cause.message, {
      hint: 'npx innkeeper peering-key makes a pair.',
      cause,
    })
  }
}
