import type postgres from 'postgres'
import { isBeforeFlip, STATES } from './states.ts'

export interface Claim {
  readonly owner: string
  readonly leaseMs: number
  /** Moves that this runner works on. */
  readonly except: readonly string[]
  /** Moves that may be under way at a time, by cluster; clusters that are not named take as many as come. */
  readonly placesMax: Readonly<Record<string, number>>
  /** Whether this runner would begin one that nobody has begun. */
  readonly mayBegin: boolean
  /** Only moves that lead there; null for all. */
  readonly regions: readonly string[] | null
}

/** A move has its places, one at each of its clusters, from its beginning to the flip; watching one costs others nothing. */
const WITH_PLACE = STATES.filter((s) => isBeforeFlip(s) && s !== 'planned')

/**
 * Takes the lease of a move that nobody works on and that has its places, and tells the others what they wait for. The rule
 * is in `tiers/directory/migrations/0009_claim_by_region.sql`.
 *
 * @returns the move's id, or null where there is none
 */
export async function claimMove(sql: postgres.Sql, claim: Claim): Promise<string | null> {
  const { owner, leaseMs, except, placesMax, mayBegin, regions } = claim
  const [row] = await sql<{ id: string | null }[]>`
    select claim_move(${owner}, ${leaseMs}, ${[...except]}::uuid[], ${WITH_PLACE}::text[],
      ${Object.keys(placesMax)}::text[], ${Object.values(placesMax)}::int[], ${mayBegin}, ${regions === null ? null : [...regions]}::text[]) as id`
  return row!.id
}
