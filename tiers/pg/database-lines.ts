import type { Connection } from './connection.ts'
import { FairQueue } from './fair-queue.ts'
import { type Demand, goesTo } from './places.ts'
import type { TenantShares } from './tenant-shares.ts'

/** Somebody who waits for a connection. */
export interface Want {
  readonly since: number
  grant(connection: Connection): void
  refuse(error: Error): void
}

/** The connections of a pool to one database, and those who wait for them. */
export interface DatabaseLine {
  readonly database: string
  /** The one that was used last is used next, so that the first is the one that is needed least. */
  readonly idle: Connection[]
  readonly queue: FairQueue<Want>
  leased: number
  /** Connections that are being made, for nobody in particular: who waits gets the next one, new or given back. */
  making: number
  /** When it had its first connection, and when one of them was last given to somebody, or given back. */
  firstAt: number
  movedAt: number
  /** Of those who wait: who want one more to be made, whether those in use come back or not. */
  eager: number
}

/** As many as wait are served by one connection before another one would be ready. */
const WAITING_PER_MAKING = 4
/**
 * A crowd that comes to a new database all at once, as a tenant's waiting requests do after a move, is served by a few connections
 * sooner than by many: each more costs the server as much as some ten statements, and the crowd waits for that too.
 */
const YOUNG_MS = 1_000
const YOUNG_CONNECTIONS = 4
/** Where none has come back for so long, they are kept by statements that take long. */
const STILL_MS = 50

export function heldBy({ idle, leased, making }: DatabaseLine): number {
  return idle.length + leased + making
}

/** A pool's lines, one for each database that has connections or is waited for, and whose turn it is to have more. */
export class DatabaseLines {
  readonly #lines = new Map<string, DatabaseLine>()
  readonly #shares: TenantShares
  readonly #connectionsMax: number

  constructor(shares: TenantShares, connectionsMax: number) {
    this.#shares = shares
    this.#connectionsMax = connectionsMax
  }

  of(database: string): DatabaseLine {
    const known = this.#lines.get(database)
    if (known !== undefined) return known
    const queue = new FairQueue<Want>()
    const line = { database, idle: [], queue, leased: 0, making: 0, firstAt: Infinity, movedAt: 0, eager: 0 }
    this.#lines.set(database, line)
    return line
  }

  all(): Iterable<DatabaseLine> {
    return this.#lines.values()
  }

  forgetUnused(line: DatabaseLine): void {
    if (heldBy(line) === 0 && line.queue.size === 0) this.#lines.delete(line.database)
  }

  hasIdle(): boolean {
    for (const line of this.#lines.values()) if (line.idle.length > 0) return true
    return false
  }

  /** Those that are to have another connection; who has the fewest comes first. */
  wanting(): DatabaseLine[] {
    return [...this.#lines.values()].filter((line) => this.#wants(line)).sort((a, b) => heldBy(a) - heldBy(b))
  }

  /** Whether the place of the line's idle connection is another line's. */
  owes(line: DatabaseLine): boolean {
    for (const other of this.#lines.values()) if (this.#goesTo(other, line)) return true
    return false
  }

  /** The line that has to make room for one more of the taker's: of those who may be asked, whose is idle for longest. */
  giverTo(taker: DatabaseLine): DatabaseLine | null {
    let giver: DatabaseLine | null = null
    for (const line of this.#lines.values()) {
      if (line.idle.length === 0 || (giver !== null && line.idle[0]!.lastUsedAt >= giver.idle[0]!.lastUsedAt)) continue
      if (this.#goesTo(taker, line)) giver = line
    }
    return giver
  }

  #wants(line: DatabaseLine): boolean {
    const { queue, idle, making, eager } = line
    if (queue.size === 0) return false
    let waiting = -idle.length
    for (const [tenant, count] of queue.waiting()) waiting += Math.min(count, this.#shares.roomOf(tenant))
    if (Math.min(eager, waiting) > making) return true
    return Math.ceil(waiting / WAITING_PER_MAKING) > making && !isPatient(line)
  }

  #goesTo(taker: DatabaseLine, owner: DatabaseLine): boolean {
    if (taker === owner || taker.queue.size === 0 || !this.#wants(taker)) return false
    const now = performance.now()
    const { openedAt, lastUsedAt } = owner.idle[0]!
    const place = { openMs: now - openedAt, idleMs: now - lastUsedAt }
    return goesTo(demandOf(taker, now), demandOf(owner, now), place, this.#shares.tenantsWaiting, this.#connectionsMax)
  }
}

function isPatient(line: DatabaseLine): boolean {
  const now = performance.now()
  return now - line.firstAt < YOUNG_MS && heldBy(line) >= YOUNG_CONNECTIONS && now - line.movedAt < STILL_MS
}

function demandOf(line: DatabaseLine, now: number): Demand {
  const first = line.queue.first()
  return { held: heldBy(line), tenants: line.queue.tenants, waitsMs: first === null ? 0 : now - first.since }
}
