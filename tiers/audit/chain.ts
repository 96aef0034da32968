import { createHash } from 'node:crypto'

/** An entry as the database keeps it. */
export interface Link {
  readonly seq: number
  /** UTC, to the microsecond. */
  readonly at: string
  readonly entry: string
  readonly previous: string
  readonly hash: string
}

export interface ChainFault {
  readonly seq: number
  readonly fault: string
}

/** An entry that somebody wrote down elsewhere: without one, entries that are cut off at the end are not missed. */
export interface Anchor {
  readonly seq: number
  readonly hash: string
}

export const NO_LINK: Anchor = Object.freeze({ seq: 0, hash: '0'.repeat(64) })

/** The same as the database's trigger computes, from what is in the row. */
export function hashOf({ previous, seq, at, entry }: Omit<Link, 'hash'>): string {
  return createHash('sha256').update([previous, seq, at, entry].join('\n')).digest('hex')
}

/** Follows the chain from one link to the next. @returns the last link and what is wrong with these */
export function follow(from: Anchor, links: readonly Link[]): { head: Anchor; faults: ChainFault[] } {
  const faults: ChainFault[] = []
  let head = from
  for (const link of links) {
    const { seq, previous, hash } = link
    if (seq !== head.seq + 1) faults.push({ seq, fault: `entries ${head.seq + 1} to ${seq - 1} are missing` })
    else if (previous !== head.hash) faults.push({ seq, fault: 'does not continue the entry before it' })
    if (hash !== hashOf(link)) faults.push({ seq, fault: 'is not what was written' })
    head = { seq, hash }
  }
  return { head, faults }
}
