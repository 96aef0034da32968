import { createHash, randomBytes } from 'node:crypto'
import type { TestRegion } from '../../support/system.ts'
import type { Place } from './topology.ts'

/** What is a tenant's own and can be told from everything else. */
export interface Canary {
  readonly slug: string
  readonly home: TestRegion
  /** Put into whatever the tenant sends and keeps. */
  readonly text: string
  /** As bytes that are looked for. */
  readonly marks: readonly (readonly [what: string, bytes: Buffer])[]
}

/** @param key the tenant's API key: its secret part must be in no other region, nor what it is known by at home */
export function canaryOf(slug: string, home: TestRegion, key: string): Canary {
  const text = `canary${randomBytes(12).toString('hex')}`
  // `ink_{tenant}_{secret}`, and the secret may have such a line in it.
  const secret = key.split('_').slice(2).join('_')
  const hash = createHash('sha256').update(key).digest()
  return {
    slug,
    home,
    text,
    marks: [
      ['the canary', Buffer.from(text)],
      ["the key's secret", Buffer.from(secret)],
      ["the key's hash", hash],
      ["the key's hash, as text", Buffer.from(hash.toString('hex'))],
    ],
  }
}

/** Where the canary is, by the names of the places. */
export function seenAt(places: readonly Place[], { marks }: Canary): { place: Place; what: string }[] {
  return places.flatMap((place) =>
    marks.filter(([, mark]) => place.bytes.some((bytes) => bytes.includes(mark))).map(([what]) => ({ place, what })),
  )
}

/** The same, where it must not be: outside its region. */
export function leaksOf(places: readonly Place[], canary: Canary): string[] {
  return seenAt(places, canary)
    .filter(({ place }) => place.region !== canary.home)
    .map(({ place, what }) => `${what} of ${canary.slug} (${canary.home}) in: ${place.name}`)
}
