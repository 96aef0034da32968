import postgres from 'postgres'

/** A connection pool of the role that makes rooms; never used for a tenant's request. */
export type AdminSql = postgres.Sql

export interface AdminOptions {
  readonly tls?: 'off' | 'verify-full'
  readonly max?: number
  readonly connectTimeoutMs?: number
}

/** Opens the installer's pool on one database of a cluster. Close it with `end()`. */
export function adminSql(url: string, database: string | null, options: AdminOptions = {}): AdminSql {
  const target = new URL(url)
  if (database !== null) target.pathname = `/${encodeURIComponent(database)}`
  return postgres(target.href, {
    max: options.max ?? 1,
    // Notices of "already exists, skipping" are the normal course of an idempotent installer.
    onnotice: () => {},
    connect_timeout: Math.ceil((options.connectTimeoutMs ?? 10_000) / 1000),
    idle_timeout: 30,
    ...(options.tls === 'verify-full' ? { ssl: { rejectUnauthorized: true } } : {}),
    connection: { application_name: 'innkeeper-control' },
  })
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
