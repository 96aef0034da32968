import type { PostgresHost } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import { type ConnectionBreaker, createConnectionBreaker } from './breaker.ts'
import { Connection } from './connection.ts'
import { FairQueue, type Waiter } from './fair-queue.ts'
import { createPrimary, type Primary } from './primary.ts'
import type { PostgresServer } from './server.ts'

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

interface Want {
  readonly request: LeaseRequest
  grant(connection: Connection | Promise<Connection>): void
  refuse(error: Error): void
}

/**
 * All connections of this process to one cluster: a pool per database under one ceiling. Connections are leased, so none
 * is closed under a running transaction; when the ceiling is reached callers wait in a bounded queue, in turns by tenant.
 */
export class ClusterPool {
  readonly #options: ClusterPoolOptions
  readonly #idle = new Map<string, Connection[]>()
  readonly #held = new Map<string, number>()
  readonly #queue = new FairQueue<Want>()
  readonly #leased = new Set<Connection>()
  readonly #breaker: ConnectionBreaker = createConnectionBreaker()
  readonly #primary: Primary
  #open = 0
  #closed = false
  readonly #sweeper: NodeJS.Timeout

  constructor(options: ClusterPoolOptions) {
    this.#options = options
    this.#primary = createPrimary({
      server: options,
      waitMs: options.queueWaitMs,
      onChange: (host) => this.#leaveOthers(host),
    })
    this.#sweeper = setInterval(() => this.#closeIdle(), Math.max(100, options.idleMs / 4))
    this.#sweeper.unref()
  }

  status(): PoolStatus {
    return { open: this.#open, leased: this.#leased.size, waiting: this.#queue.size }
  }

  /**
   * @throws InnkeeperError `overloaded` when the tenant's line is full or the wait too long, `cluster_unavailable` when
   *   no connection can be made, `shutting_down`; the signal's reason when it aborts first
   */
  async lease(request: LeaseRequest): Promise<Lease> {
    request.signal?.throwIfAborted()
    if (this.#closed) throw new InnkeeperError('shutting_down', 'The gateway is shutting down', { retryAfterMs: 1_000 })
    const ready = this.#mayHave(request.tenant, request.share) ? this.#obtain(request.database) : null
    const connection = ready === null ? await this.#wait(request) : await this.#hold(request.tenant, ready)
    let released = false
    return {
      connection,
      release: () => {
        if (released) throw new Error('a lease is released once')
        released = true
        this.#release(request, connection)
      },
    }
  }

  /**
   * A tenant over its share waits while others do. When nobody waits it may go on, up to three quarters of the ceiling:
   * the last quarter is what makes the first request of another tenant quick.
   */
  #mayHave(tenant: string, share: number): boolean {
    const held = this.#held.get(tenant) ?? 0
    if (held < share) return true
    const others = this.#queue.size - this.#queue.waitingOf(tenant)
    return others === 0 && held < this.#shareWhenAlone()
  }

  #shareWhenAlone(): number {
    return Math.max(1, Math.floor(this.#options.connectionsMax * 0.75))
  }

  /** An idle connection, or the making of a new one, or null when the ceiling is reached. */
  #obtain(database: string): Connection | Promise<Connection> | null {
    const list = this.#idle.get(database)
    if (list !== undefined) {
      const idle = list.pop()!
      if (list.length === 0) this.#idle.delete(database)
      return idle
    }
    if (this.#open < this.#options.connectionsMax) {
      this.#open++
      return this.#connect(database)
    }
    const evicted = this.#takeOther(database)
    // The new connection takes over the place of the old one, when that is gone.
    return evicted === null ? null : this.#end(evicted).then(() => this.#connect(database))
  }

  async #connect(database: string): Promise<Connection> {
    const { tls, ca, connectTimeoutMs, statementsMax } = this.#options
    const options = { database, tls, ca, connectTimeoutMs, statementsMax }
    try {
      const connection = await this.#breaker(() =>
        this.#primary.open((server) => Connection.open({ ...options, server })),
      )
      connection.onLost = () => this.#lostIdle(database, connection)
      return connection
    } catch (error) {
      this.#open--
      throw error
    }
  }

  /** Counts the connection as the tenant's from now on, also while it is still being made. */
  #hold(tenant: string, made: Connection | Promise<Connection>): Connection | Promise<Connection> {
    this.#held.set(tenant, (this.#held.get(tenant) ?? 0) + 1)
    if (made instanceof Connection) {
      this.#leased.add(made)
      return made
    }
    return made.then(
      (connection) => {
        this.#leased.add(connection)
        return connection
      },
      (error) => {
        this.#unhold(tenant)
        // Whoever waits learns it too, and only now: until here this tenant counted as holding a connection.
        this.#serveNext()
        throw error
      },
    )
  }

  #unhold(tenant: string): void {
    const held = (this.#held.get(tenant) ?? 1) - 1
    if (held === 0) this.#held.delete(tenant)
    else this.#held.set(tenant, held)
  }

  #wait(request: LeaseRequest): Promise<Connection> {
    const { queuePerTenantMax, queueWaitMs, cluster } = this.#options
    if (this.#queue.waitingOf(request.tenant) >= queuePerTenantMax) {
      throw new InnkeeperError('overloaded', `Too many requests of this tenant wait for cluster ${cluster}`, {
        retryAfterMs: 1_000,
      })
    }
    const { signal } = request
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
      const want: Want = {
        request,
        grant: (made) => {
          settle()
          resolve(this.#hold(request.tenant, made))
        },
        refuse: (error) => {
          settle()
          reject(error)
        },
      }
      const waiter: Waiter<Want> = this.#queue.push(request.tenant, want)
      const giveUp = (error: Error) => {
        this.#queue.remove(waiter)
        want.refuse(error)
      }
      const onAbort = () => giveUp(signal!.reason as Error)
      const timer = setTimeout(() => {
        giveUp(
          new InnkeeperError('overloaded', `No connection to cluster ${cluster} became free in ${queueWaitMs} ms`, {
            retryAfterMs: 1_000,
          }),
        )
      }, queueWaitMs)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  #release(request: LeaseRequest, connection: Connection): void {
    this.#leased.delete(connection)
    this.#unhold(request.tenant)
    // Whoever asks again at once must not be given the next one that is as dead.
    if (connection.isCutOff || connection.isOnReplica) {
      this.#primary.doubt()
      this.#discardIdle((idle) => idle.host === connection.host)
    }
    if (connection.doomed || connection.worn || this.#closed) this.#discard(connection)
    else this.#park(request.database, connection)
    this.#serveNext()
  }

  #park(database: string, connection: Connection): void {
    connection.lastUsedAt = Date.now()
    const list = this.#idle.get(database)
    if (list === undefined) this.#idle.set(database, [connection])
    else list.push(connection)
  }

  /** Its place under the ceiling is free when the server has let go of it, and not before. */
  #discard(connection: Connection): void {
    void this.#end(connection).then(() => {
      this.#open--
      this.#serveNext()
    })
  }

  /** The server may be gone already; there is nothing left to do about it then. */
  #end(connection: Connection): Promise<void> {
    return connection.close().catch((error: unknown) => this.onCloseError?.(error))
  }

  /** For the log: closing failed, which changes nothing for callers. */
  onCloseError: ((error: unknown) => void) | null = null

  #serveNext(): void {
    while (this.#queue.size > 0 && (this.#open < this.#options.connectionsMax || this.#idle.size > 0)) {
      const waiter = this.#queue.take((tenant) => this.#turnOf(tenant))
      if (waiter === null) return
      waiter.value.grant(this.#obtain(waiter.value.request.database)!)
    }
  }

  /** In a turn, a tenant within its share is served; one over it only when no other waits. */
  #turnOf(tenant: string): boolean {
    const held = this.#held.get(tenant) ?? 0
    return held < (this.#queue.tenants === 1 ? this.#shareWhenAlone() : this.#shareWhenBusy())
  }

  /** While several tenants wait, none holds more than an equal part of the ceiling. */
  #shareWhenBusy(): number {
    return Math.max(1, Math.ceil(this.#options.connectionsMax / Math.max(2, this.#queue.tenants)))
  }

  /** Takes out the longest idle connection to another database, to make room under the ceiling. */
  #takeOther(database: string): Connection | null {
    let oldest: { name: string; at: number } | null = null
    for (const [name, list] of this.#idle) {
      if (name === database || list.length === 0) continue
      if (oldest === null || list[0]!.lastUsedAt < oldest.at) oldest = { name, at: list[0]!.lastUsedAt }
    }
    return oldest === null ? null : this.#takeOldest(oldest.name)
  }

  #takeOldest(database: string): Connection {
    const list = this.#idle.get(database)!
    const connection = list.shift()!
    if (list.length === 0) this.#idle.delete(database)
    return connection
  }

  #discardIdle(which: (idle: Connection) => boolean): void {
    for (const [database, list] of [...this.#idle]) {
      const kept = list.filter((idle) => !which(idle))
      if (kept.length === 0) this.#idle.delete(database)
      else this.#idle.set(database, kept)
      for (const idle of list) if (!kept.includes(idle)) this.#discard(idle)
    }
  }

  /** Another host has become the primary: what runs elsewhere waits for a server that is gone, or writes to an old one. */
  #leaveOthers(primary: PostgresHost): void {
    this.#discardIdle((idle) => idle.host !== primary)
    for (const leased of this.#leased) if (leased.host !== primary) leased.abandon()
  }

  #lostIdle(database: string, connection: Connection): void {
    if (connection.isCutOff) this.#primary.doubt()
    const list = this.#idle.get(database)
    const index = list?.indexOf(connection) ?? -1
    if (list === undefined || index === -1) return
    list.splice(index, 1)
    if (list.length === 0) this.#idle.delete(database)
    this.#open--
    this.#serveNext()
  }

  #closeIdle(): void {
    const before = Date.now() - this.#options.idleMs
    for (const [database, list] of [...this.#idle]) {
      while (list.length > 0 && list[0]!.lastUsedAt < before) this.#discard(this.#takeOldest(database))
    }
  }

  /** Closes the idle connections to one database at once: before it is dropped. */
  closeDatabase(database: string): void {
    while ((this.#idle.get(database)?.length ?? 0) > 0) this.#discard(this.#takeOldest(database))
  }

  /** Refuses those who wait, closes what is idle, and waits for leases up to the time given; then closes those as well. */
  async close(drainMs: number): Promise<void> {
    this.#closed = true
    this.#primary.close()
    clearInterval(this.#sweeper)
    const error = new InnkeeperError('shutting_down', 'The gateway is shutting down', { retryAfterMs: 1_000 })
    for (let w = this.#queue.take(() => true); w !== null; w = this.#queue.take(() => true)) w.value.refuse(error)
    const closing: Promise<void>[] = []
    for (const database of [...this.#idle.keys()]) {
      for (const connection of this.#idle.get(database)!) {
        this.#open--
        closing.push(connection.close())
      }
      this.#idle.delete(database)
    }
    const deadline = Date.now() + drainMs
    while (this.#leased.size > 0 && Date.now() < deadline) await new Promise((r) => setTimeout(r, 10))
    for (const connection of this.#leased) {
      connection.cancel()
      closing.push(connection.close())
    }
    await Promise.allSettled(closing)
  }
}
