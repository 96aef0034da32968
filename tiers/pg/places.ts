/**
 * Whose place a connection's is. A cluster's ceiling is shared by its databases, and to move a place from one to another is
 * dear: a backend has to end, and another to begin with empty caches, which costs the server some ten statements. A pool that
 * did so at each turn would be busy with nothing else from the moment on at which it has once been full. So places change
 * hands seldom, however the load goes to and fro. Pure: it is given numbers and knows no clock.
 */

/** One database's connections, and who waits for them. */
export interface Demand {
  /** Connections, with those that are being made. */
  readonly held: number
  /** How many tenants wait. */
  readonly tenants: number
  /** How long the first has waited, in milliseconds; 0 where none does. */
  readonly waitsMs: number
}

/** A connection that nobody uses at this moment. */
export interface Place {
  readonly openMs: number
  readonly idleMs: number
}

/** A connection serves its own database for as long, and so no place changes hands more often. */
export const KEEP_MS = 1_000
/**
 * How long the first of a database without any connection waits for one, where every other database has but one; and how long
 * that one serves before it goes on. Without the second, two databases in each of which somebody has waited for so long would
 * hand a place to and fro, and nobody would ever be served by it.
 */
export const SLICE_MS = 100

/**
 * Whether the place goes to another database, where somebody waits.
 *
 * @param all tenants that wait at any database
 * @param max the cluster's ceiling
 */
export function goesTo(taker: Demand, owner: Demand, { openMs, idleMs }: Place, all: number, max: number): boolean {
  if (taker.tenants === 0) return false
  const isWanted = owner.tenants > 0
  if (taker.held === 0) return owner.held > 1 || !isWanted || Math.min(taker.waitsMs, openMs) >= SLICE_MS
  if (idleMs >= KEEP_MS) return true
  if (openMs < KEEP_MS || taker.held >= part(taker, all, max)) return false
  return !isWanted || owner.held > part(owner, all, max)
}

/** As many as its tenants have of all that wait, and one at least. */
function part({ tenants }: Demand, all: number, max: number): number {
  return Math.max(1, Math.floor((max * tenants) / Math.max(1, all)))
}
