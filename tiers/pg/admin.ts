import type postgres from 'postgres'
import { type Link, openLink } from './link.ts'
import type { LinkTls, PostgresServer } from './server.ts'

/** A connection pool of the role that makes rooms; never used for a tenant's request. */
export type AdminSql = postgres.Sql

export interface AdminOptions extends LinkTls {
  readonly max?: number
  readonly connectTimeoutMs?: number
}

/** Opens the installer's pool on one database of a cluster. Close it with `end()`. */
export function adminSql(url: string, database: string | null, options: AdminOptions = {}): AdminSql {
  return adminLink(url, database, options).sql
}

/** {@link adminSql}, which can be renewed as well. */
export function adminLink(url: string, database: string | null, options: AdminOptions = {}): Link {
  const { max, connectTimeoutMs, ...tls } = options
  return serverLink({ url, ...tls }, database, max, connectTimeoutMs)
}

export function serverLink(server: PostgresServer, database: string | null, max = 1, connectTimeoutMs = 10_000): Link {
  const link = { applicationName: 'innkeeper-control', database, max, connectTimeoutMs, idleTimeoutS: 30 }
  return openLink(server, link)
}

/** Opens the pool, runs, and closes it in any case. */
export async function withAdmin<T>(
  url: string,
  database: string | null,
  options: AdminOptions,
  run: (sql: AdminSql) => Promise<T>,
): Promise<T> {
  const { max, connectTimeoutMs, ...tls } = options
  return withLink(serverLink({ url, ...tls }, database, max, connectTimeoutMs), run)
}

/** The same on one database of a server, wherever it is reached. */
export function withServer<T>(
  server: PostgresServer,
  database: string,
  run: (sql: AdminSql) => Promise<T>,
): Promise<T> {
  return withLink(serverLink(server, database), run)
}

async function withLink<T>(link: Link, run: (sql: AdminSql) => Promise<T>): Promise<T> {
  try {
    return await run(link.sql)
  } finally {
    await link.close(5)
  }
}
