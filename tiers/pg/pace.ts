/** How much one value counts. */
const WEIGHT = 0.1
/** One that is much larger than the others counts as so many times as large: the first statement of a new connection, say. */
const OUTLIER = 2
/** Before one has been made. */
const MAKING_MS = 20
/** Whoever waits is no worse off by half the time that a new connection takes: the server is not burdened with one. */
const PATIENT_PART = 0.5
/** So many connections' time spent waiting at one database is worth a connection there that stays. */
const WORTH = 10

/**
 * How quickly a pool's connections come back, and how long a new one takes: together they say whether one pays. To make one
 * costs the server as much as some ten to fifty statements, so that a pool which answers a crowd of short ones with new
 * connections makes all of them wait longer, and the neighbours too.
 */
export class Pace {
  #leaseMs = 0
  #makingMs = MAKING_MS

  returned(leasedMs: number): void {
    if (this.#leaseMs === 0) this.#leaseMs = leasedMs
    else this.#leaseMs += WEIGHT * (Math.min(leasedMs, OUTLIER * this.#leaseMs) - this.#leaseMs)
  }

  made(tookMs: number): void {
    this.#makingMs += WEIGHT * (Math.min(tookMs, OUTLIER * this.#makingMs) - this.#makingMs)
  }

  /**
   * @param leased connections to the database that are in use
   * @param stillMs for how long none of them was given or came back: one that is kept for long promises nothing
   * @returns how many of those who wait will have had one of them soon enough
   */
  patience(leased: number, stillMs: number): number {
    if (this.#leaseMs === 0 || stillMs > this.#makingMs) return 0
    return Math.floor((leased * PATIENT_PART * this.#makingMs) / this.#leaseMs)
  }

  /** Whether so much waiting at one database, in milliseconds of all who waited, has cost more than a connection would. */
  isWorthOne(waitedMs: number): boolean {
    return waitedMs > WORTH * this.#makingMs
  }
}
