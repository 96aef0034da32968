import postgres from 'postgres'
import type { LocalPostgres } from '../../gateway/dev/postgres/types.ts'
import { ClusterPool, type ClusterPoolOptions, type Lease } from '../../tiers/pg/cluster-pool.ts'
import { standardParsers } from '../../tiers/pg/values.ts'
import { startTestPostgres } from '../support/postgres.ts'

export const DATABASES = ['one', 'two', 'three'] as const
const ROLE = 'pooled'

/** A server with three databases and a role of the pool's own, whose backends can be counted from outside. */
export interface PoolServer {
  readonly server: LocalPostgres
  readonly sql: postgres.Sql
  pool(options?: Partial<ClusterPoolOptions>): ClusterPool
  /** Backends of the pool's role, as the server sees them. */
  backends(): Promise<{ pid: number; datname: string }[]>
  /** How many of them sleep in a statement: one that was only sent is not yet there to be cancelled. */
  sleeping(): Promise<number>
  close(): Promise<void>
}

export async function startPoolServer(): Promise<PoolServer> {
  const { server, stop } = await startTestPostgres({ settings: { synchronous_commit: 'on' } })
  const sql = postgres(server.url(), { max: 2, onnotice: () => {}, backoff: () => 0.1 })
  await sql.unsafe(`create role ${ROLE} login password 'p'`)
  for (const name of DATABASES) await sql.unsafe(`create database ${name}`)
  const pools: ClusterPool[] = []
  return {
    server,
    sql,
    pool(options = {}) {
      const pool = new ClusterPool({
        cluster: 'us-1',
        url: server.url('postgres', ROLE, 'p'),
        tls: 'off',
        connectionsMax: 8,
        statementsMax: 50,
        connectTimeoutMs: 2_000,
        idleMs: 60_000,
        queueWaitMs: 10_000,
        queuePerTenantMax: 1_000,
        ...options,
      })
      pools.push(pool)
      return pool
    },
    backends: async () => [
      ...(await sql<{ pid: number; datname: string }[]>`
        select pid, datname from pg_stat_activity where usename = ${ROLE}`),
    ],
    async sleeping() {
      const [row] = await sql<{ n: number }[]>`
        select count(*)::int as n from pg_stat_activity where usename = ${ROLE} and wait_event = 'PgSleep'`
      return row!.n
    },
    async close() {
      await Promise.all(pools.map((p) => p.close(0)))
      await sql.end({ timeout: 1 })
      await stop()
    },
  }
}

/** Runs one statement on a lease. @returns the value of its first column */
export async function ask(lease: Lease, text: string): Promise<unknown> {
  const { results, error } = await lease.connection.run([
    { text, params: [], prepared: false, rows: 'array', parsers: standardParsers },
  ])
  if (error !== null) throw error
  return (results[0]!.rows[0] as unknown[])[0]
}

/** Whether a connection can be had now. */
export const canLease = (lease: Promise<Lease>): Promise<boolean> =>
  lease.then(
    (held) => {
      held.release()
      return true
    },
    () => false,
  )
