import type postgres from 'postgres'
import { type Link, openLink } from './link.ts'
import type { LinkTls } from './server.ts'

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
  const { max = 1, connectTimeoutMs = 10_000, ...tls } = options
  const link = { applicationName: 'innkeeper-control', database, max, connectTimeoutMs, idleTimeoutS: 30 }
  return openLink({ url, ...tls }, link)
}

/** Opens the pool, runs, and closes it in any case. */
export async function withAdmin<T>(
  url: string,
  database: string | null,
  options: AdminOptions,
  run: (sql: AdminSql) => Promise<T>,
): Promise<T> {
  const sql = adminSql(url, database, options)
  try {
    return await run(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}
