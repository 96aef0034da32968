import type { PostgresHost } from '../../config/index.ts'
import { createConnectionBreaker } from './breaker.ts'
import { Connection } from './connection.ts'
import { createPrimary } from './primary.ts'
import type { PostgresServer } from './server.ts'

export interface ConnectionSourceOptions extends PostgresServer {
  readonly statementsMax: number
  readonly connectTimeoutMs: number
  readonly queueWaitMs: number
  /** Another host has become the primary. */
  onChange(host: PostgresHost): void
}

/** Where a pool's connections come from, and how they end. */
export interface ConnectionSource {
  /** To the primary. @throws InnkeeperError `cluster_unavailable` */
  open(database: string): Promise<Connection>
  /** Never fails: the server may be gone already, and there is nothing left to do about it then. */
  end(connection: Connection): Promise<void>
  /** The primary may be another one now: it is looked at again. */
  doubt(): void
  /** Looks for no primary any more. */
  stop(): void
  /** Waits until all connections that are being ended have. */
  ended(): Promise<void>
}

/** A search for the primary ends before the wait of those for whom it is made, so that they hear what was found. */
const SEARCH_PART = 0.8

export function createConnectionSource(options: ConnectionSourceOptions): ConnectionSource {
  const { tls, ca, connectTimeoutMs, statementsMax, queueWaitMs, onChange } = options
  const breaker = createConnectionBreaker()
  const primary = createPrimary({ server: options, waitMs: queueWaitMs * SEARCH_PART, onChange })
  const ending = new Set<Promise<void>>()
  return {
    open(database) {
      const wanted = { database, tls, ca, connectTimeoutMs, statementsMax }
      return breaker(() => primary.open((server) => Connection.open({ ...wanted, server })))
    },
    end(connection) {
      const ended = connection
        .close()
        .catch(() => {})
        .finally(() => ending.delete(ended))
      ending.add(ended)
      return ended
    },
    doubt: () => primary.doubt(),
    stop: () => primary.close(),
    async ended() {
      while (ending.size > 0) await Promise.all(ending)
    },
  }
}
