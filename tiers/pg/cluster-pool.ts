import type { PostgresHost } from '../../config/index.ts'
import type { Connection } from './connection.ts'
import { type ConnectionSource, createConnectionSource } from './connection-source.ts'
import { type DatabaseLine, DatabaseLines } from './database-lines.ts'
import { overloaded, shuttingDown } from './pool-errors.ts'
import type { PostgresServer } from './server.ts'
import { TenantShares, type TenantUse } from './tenant-shares.ts'
import { waitInLine } from './wait.ts'

export interface ClusterPoolOptions extends PostgresServer {
  readonly cluster: string
  /** The ceiling of connections of this process to the cluster, over all its databases. */
  readonly connectionsMax: number
  readonly statementsMax: number
  readonly connectTimeoutMs: number
  readonly idleMs: number
  readonly queueWaitMs: number
  readonly queuePerTenantMax: number
}

export interface LeaseRequest {
  readonly database: string
  /** Whose turn it counts as. */
  readonly tenant: string
  /** How many connections this tenant may hold while others wait. */
  readonly share: number
  /** Waits for a connection that is made for it, or one more: not for those that come back. */
  readonly eager?: boolean
  readonly signal?: AbortSignal | undefined
}

/** A connection for one caller's exclusive use. Released exactly once; a second release is an error. */
export interface Lease {
  readonly connection: Connection
  release(): void
}

export interface PoolStatus {
  readonly open: number
  readonly leased: number
  readonly waiting: number
}

const PATROL_MS = 50
/** Connections that are made at the same time: each is work for the server that those who are served would feel. */
const MAKING_MAX = 4

/**
 * All connections of this process to one cluster: a line per database under one ceiling. Connections are leased, so none
 * is closed under a running transaction; who finds none waits in a bounded queue, in turns by tenant, for whichever comes
 * first: one that is given back, or a new one.
 */
export class ClusterPool {
  readonly #options: ClusterPoolOptions
  readonly #shares: TenantShares
  readonly #lines: DatabaseLines
  readonly #leased = new Set<Connection>()
  readonly #source: ConnectionSource
  #open = 0
  #making = 0
  #closed = false
  readonly #sweeper: NodeJS.Timeout
  #patrol: NodeJS.Timeout | null = null

  constructor(options: ClusterPoolOptions) {
    this.#options = options
    this.#shares = new TenantShares(options.connectionsMax)
    this.#lines = new DatabaseLines(this.#shares, options.connectionsMax)
    this.#source = createConnectionSource({ ...options, onChange: (host) => this.#leaveOthers(host) })
    this.#sweeper = setInterval(() => this.#closeIdle(), Math.max(100, options.idleMs / 4))
    this.#sweeper.unref()
  }

  status(): PoolStatus {
    return { open: this.#open, leased: this.#leased.size, waiting: this.#shares.waiters }
  }

  /**
   * @throws InnkeeperError `overloaded` when the tenant's line is full or the wait too long, `cluster_unavailable` when
   *   no connection can be made, `shutting_down`; the signal's reason when it aborts first
   */
  async lease(request: LeaseRequest): Promise<Lease> {
    request.signal?.throwIfAborted()
    if (this.#closed) throw shuttingDown()
    const line = this.#lines.of(request.database)
    const use = this.#shares.useOf(request.tenant, request.share)
    const isReady = line.idle.length > 0 && this.#shares.mayHave(use)
    const connection = isReady ? this.#hand(line, use.tenant) : await this.#wait(line, use, request)
    let released = false
    return {
      connection,
      release: () => {
        if (released) throw new Error('a lease is released once')
        released = true
        this.#release(line, use, connection)
      },
    }
  }

  #hand(line: DatabaseLine, tenant: string): Connection {
    const connection = line.idle.pop()!
    line.leased++
    line.movedAt = performance.now()
    this.#leased.add(connection)
    this.#shares.take(tenant)
    return connection
  }

  #wait(line: DatabaseLine, use: TenantUse, { signal, eager = false }: LeaseRequest): Promise<Connection> {
    const { queuePerTenantMax, queueWaitMs, cluster } = this.#options
    if (use.waiting >= queuePerTenantMax) {
      this.#lines.forgetUnused(line)
      throw overloaded(`Too many requests of this tenant wait for cluster ${cluster}`)
    }
    const waiting = waitInLine(line, {
      cluster,
      tenant: use.tenant,
      queueWaitMs,
      signal,
      onEnd: () => {
        if (eager) line.eager--
        this.#shares.endWait(use)
        this.#lines.forgetUnused(line)
      },
    })
    this.#shares.wait(use)
    if (eager) line.eager++
    this.#serve(line)
    return waiting
  }

  #release(line: DatabaseLine, use: TenantUse, connection: Connection): void {
    line.leased--
    line.movedAt = performance.now()
    this.#leased.delete(connection)
    this.#shares.giveBack(use)
    // Whoever asks again at once must not be given the next one that is as dead.
    if (connection.isCutOff || connection.isOnReplica) {
      this.#source.doubt()
      this.#discardIdle((idle) => idle.host === connection.host)
    }
    if (connection.doomed || connection.worn || this.#closed) {
      this.#discard(connection)
      this.#lines.forgetUnused(line)
    } else this.#park(line, connection)
    this.#serve(line)
  }

  #park(line: DatabaseLine, connection: Connection): void {
    connection.lastUsedAt = performance.now()
    line.idle.push(connection)
  }

  /** Gives what is idle to those who wait, this line first, and makes more where there are places. */
  #serve(first: DatabaseLine): void {
    if (this.#shares.waiters === 0) return
    this.#giveTo(first)
    // A tenant that had no turn at another database may have one now.
    for (const line of this.#lines.all()) this.#giveTo(line)
    this.#grow()
    if (this.#shares.waiters > 0) this.#patrol ??= setInterval(() => this.#onPatrol(), PATROL_MS).unref()
  }

  /** What changes by the mere passing of time: who has waited for long, what has not been used for long. */
  #onPatrol(): void {
    this.#grow()
    if (this.#shares.waiters > 0 || this.#patrol === null) return
    clearInterval(this.#patrol)
    this.#patrol = null
  }

  #giveTo(line: DatabaseLine): void {
    while (line.idle.length > 0 && line.queue.size > 0 && !this.#isOwed(line)) {
      const waiter = line.queue.take((tenant) => this.#shares.roomOf(tenant) > 0)
      if (waiter === null) return
      waiter.value.grant(this.#hand(line, waiter.tenant))
    }
  }

  /** Another line is to have its place, and it can be seen to at once. */
  #isOwed(line: DatabaseLine): boolean {
    return !this.#hasRoom() && this.#making < MAKING_MAX && this.#lines.owes(line)
  }

  #hasRoom(): boolean {
    return this.#open < this.#options.connectionsMax
  }

  #grow(): void {
    while (this.#shares.waiters > 0 && this.#making < MAKING_MAX && !this.#closed) {
      if (this.#hasRoom()) {
        const [line] = this.#lines.wanting()
        if (line === undefined) return
        this.#open++
        this.#make(line, null)
        continue
      }
      // When all are in use there is nothing to be weighed.
      if (!this.#lines.hasIdle()) return
      const line = this.#lines.wanting().find((l) => this.#lines.giverTo(l) !== null)
      if (line === undefined) return
      this.#make(line, this.#lines.giverTo(line)!.idle.shift()!)
    }
  }

  /** A new connection takes over the place of the old one, where there is one, when that is gone. */
  #make(line: DatabaseLine, old: Connection | null): void {
    line.making++
    this.#making++
    const made = old === null ? this.#connect(line) : this.#source.end(old).then(() => this.#connect(line))
    const ended = () => {
      line.making--
      this.#making--
    }
    made.then(
      (connection) => {
        ended()
        if (this.#closed) return this.#discard(connection)
        line.firstAt = Math.min(line.firstAt, performance.now())
        this.#park(line, connection)
        this.#serve(line)
      },
      (error: Error) => {
        ended()
        this.#open--
        // One of those who wait hears why. For the others it is tried again, as long as the server may be in reach.
        line.queue.take(() => true)?.value.refuse(error)
        this.#lines.forgetUnused(line)
        this.#grow()
      },
    )
  }

  async #connect(line: DatabaseLine): Promise<Connection> {
    if (this.#closed) throw shuttingDown()
    const connection = await this.#source.open(line.database)
    connection.onLost = () => this.#lostIdle(line, connection)
    return connection
  }

  /** Its place under the ceiling is free when the server has let go of it, and not before. */
  #discard(connection: Connection): void {
    void this.#source.end(connection).then(() => {
      this.#open--
      this.#grow()
    })
  }

  #discardIdle(which: (idle: Connection) => boolean): void {
    for (const line of this.#lines.all()) {
      for (const idle of line.idle.filter(which)) {
        line.idle.splice(line.idle.indexOf(idle), 1)
        this.#discard(idle)
      }
      this.#lines.forgetUnused(line)
    }
  }

  /** Another host has become the primary: what runs elsewhere waits for a server that is gone, or writes to an old one. */
  #leaveOthers(primary: PostgresHost): void {
    this.#discardIdle((idle) => idle.host !== primary)
    for (const leased of this.#leased) if (leased.host !== primary) leased.abandon()
  }

  #lostIdle(line: DatabaseLine, connection: Connection): void {
    if (connection.isCutOff) this.#source.doubt()
    const index = line.idle.indexOf(connection)
    if (index === -1) return
    line.idle.splice(index, 1)
    this.#open--
    this.#lines.forgetUnused(line)
    this.#grow()
  }

  #closeIdle(): void {
    const before = performance.now() - this.#options.idleMs
    this.#discardIdle((idle) => idle.lastUsedAt < before)
  }

  /** Refuses those who wait, closes what is idle, and waits for leases up to the time given; then closes those as well. */
  async close(drainMs: number): Promise<void> {
    this.#closed = true
    this.#source.stop()
    clearInterval(this.#sweeper)
    if (this.#patrol !== null) clearInterval(this.#patrol)
    for (const { queue } of this.#lines.all()) {
      for (let w = queue.take(() => true); w !== null; w = queue.take(() => true)) w.value.refuse(shuttingDown())
    }
    this.#discardIdle(() => true)
    const deadline = Date.now() + drainMs
    while (this.#leased.size > 0 && Date.now() < deadline) await new Promise((r) => setTimeout(r, 10))
    for (const connection of this.#leased) {
      connection.cancel()
      void this.#source.end(connection)
    }
    await this.#source.ended()
  }
}
