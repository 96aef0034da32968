import type { Socket } from 'node:net'
import pg from 'pg'
import { within } from '../cache/within.ts'
import { InnkeeperError } from '../errors.ts'
import { asDialled } from '../pg/dialled.ts'
import { createPrimary, type Primary } from '../pg/primary.ts'
import { type PostgresServer, sslFor } from '../pg/server.ts'
import { type Copied, copyBetween } from './copy-stream.ts'

/**
 * What every row's text must look like on both sides, whatever the servers' defaults are. And one process of the server for
 * each connection: what is asked is asked in small pieces, for which helpers cost more than they bring, and the other
 * tenants of the server would miss them.
 */
const SESSION = `set datestyle = 'ISO, MDY'; set intervalstyle = 'postgres'; set timezone = 'UTC'; set extra_float_digits = 1;
  set bytea_output = 'hex'; set statement_timeout = 0; set idle_in_transaction_session_timeout = '60s'; set jit = off; set max_parallel_workers_per_gather = 0;
  set client_encoding = 'UTF8'; set standard_conforming_strings = on; set default_transaction_isolation = 'read committed'; set search_path = pg_catalog, pg_temp`

/** How long a connection looks for the primary, where the cluster has several hosts. */
export const PRIMARY_WAIT_MS = 5_000

export interface MoverClientOptions extends PostgresServer {
  /** Of the same server, where several connections share what is known of it. */
  readonly primary?: Primary
  readonly database: string
  /** By which a takeover finds what its predecessor left running. */
  readonly applicationName: string
  /** How long connecting to a host may take, in milliseconds; 10,000 where left out. */
  readonly connectMs?: number
  /** Gives up one attempt to connect, where it aborts meanwhile: whom it waits for is out of reach. */
  readonly signal?: () => AbortSignal
}

/** The rows of one statement. */
export type Texts = readonly (readonly (string | null)[])[]

const AS_TEXT = { getTypeParser: () => (text: string) => text }

/**
 * One connection of a mover, used by one task at a time. It is not one of a pool: what a transaction sets and the
 * temporary tables that it fills live as long as the connection, and a lost connection is a lost attempt.
 */
export interface MoverClient {
  query<Row extends object = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<Row[]>
  /** Several statements without parameters in one round trip. */
  script(text: string): Promise<void>
  /** The same, with the rows of each, and values as the server writes them. */
  texts(text: string): Promise<Texts[]>
  /** The same, from BEGIN to COMMIT: rolled back where one of them fails. */
  atomically(text: string): Promise<void>
  /** Runs the work between BEGIN and COMMIT. */
  transaction<T>(begin: string, work: () => Promise<T>): Promise<T>
  /** Streams a COPY TO STDOUT here into a COPY FROM STDIN there. */
  copyTo(out: string, target: MoverClient, into: string): Promise<Copied>
  readonly raw: pg.Client
  /** Ends it at once: what runs on it fails. */
  cut(): void
  close(): Promise<void>
}

/** @throws InnkeeperError `cluster_unavailable` */
export async function openMoverClient(options: MoverClientOptions): Promise<MoverClient> {
  const primary = options.primary ?? createPrimary({ server: options, waitMs: PRIMARY_WAIT_MS })
  const raw = await primary.open((server) => connected(server.url(options.database), options))
  const cut = () => socketOf(raw).destroy()
  raw.once('end', () => primary.doubt())
  raw.on('notice', (notice) => {
    // Committed here and not at the standby, since somebody cancelled the wait: nothing may be built on it.
    if (notice.routine === 'SyncRepWaitForLSN') cut()
  })
  const client: MoverClient = {
    raw,
    async query<Row extends object>(text: string, params: readonly unknown[] = []) {
      return (await raw.query<Row>(text, [...params])).rows
    },
    async script(text) {
      await raw.query(text)
    },
    async texts(text) {
      const query = { text, rowMode: 'array', types: AS_TEXT } as unknown as pg.QueryArrayConfig
      const results = (await raw.query(query)) as unknown as { rows: Texts } | { rows: Texts }[]
      return (Array.isArray(results) ? results : [results]).map((result) => result.rows)
    },
    async atomically(text) {
      try {
        await raw.query(text)
      } catch (error) {
        await raw.query('rollback').catch(() => {})
        throw error
      }
    },
    async transaction(begin, work) {
      try {
        await raw.query(begin)
        const value = await work()
        const { command } = await raw.query('commit')
        if (command !== 'COMMIT') throw new Error(`the server answered ${command} to commit`)
        return value
      } catch (error) {
        await raw.query('rollback').catch(() => {})
        throw error
      }
    },
    copyTo: (out, target, into) => copyBetween(raw, out, target.raw, into),
    cut,
    async close() {
      // A statement that hangs would hold the connection, and what it has locked, for as long as it likes.
      const timer = setTimeout(cut, 500)
      await raw.end().catch(() => {})
      clearTimeout(timer)
    },
  }
  return client
}

const CONNECT_MS = 10_000

const socketOf = (raw: pg.Client) => (raw as unknown as { connection: { stream: Socket } }).connection.stream

async function connected(connectionString: string, options: MoverClientOptions): Promise<pg.Client> {
  const { connectMs = CONNECT_MS } = options
  const signal = options.signal?.()
  // What it refuses or cannot do it says itself.
  const reached = options.reach === undefined ? null : await options.reach(options.database)
  const raw = new pg.Client({
    connectionString,
    ...(reached === null ? {} : { stream: () => asDialled(reached) }),
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    application_name: options.applicationName,
    ssl: sslFor(options),
  })
  // Whoever uses the connection gets the same error from its statement.
  raw.on('error', () => {})
  const giveUp = () => socketOf(raw).destroy(new Error('the server does not answer'))
  signal?.addEventListener('abort', giveUp, { once: true })
  try {
    await raw.connect()
    await within(raw.query(SESSION), connectMs)
    return raw
  } catch (cause) {
    raw.end().catch(() => {})
    throw new InnkeeperError('cluster_unavailable', `No connection to ${options.database}`, {
      cause,
      retryAfterMs: 1_000,
    })
  } finally {
    signal?.removeEventListener('abort', giveUp)
  }
}
