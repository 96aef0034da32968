import type { ExtractTablesWithRelations } from 'drizzle-orm'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import { Hono } from 'hono'

/** Whose request it is. */
export interface AppTenant {
  readonly id: string
  readonly slug: string
  readonly tier: string
  readonly region: string
}

/** The user behind the request, as the credential proved it; null where an API key came alone. */
export interface AppUser {
  readonly sub?: string
  readonly [claim: string]: unknown
}

/** The context of the application's own endpoints. */
export interface AppEnv<Schema extends Record<string, unknown>> {
  Variables: {
    requestId: string
    tenant: AppTenant
    user: AppUser | null
    /** The tenant's database: each statement a transaction of its own; `db.transaction` for several. */
    db: PgDatabase<PgQueryResultHKT, Schema, ExtractTablesWithRelations<Schema>>
    /** Aborts when the client goes away or the request's time is over. */
    signal: AbortSignal
  }
}

/** The application's own endpoints: a Hono app, typed by the tables in `schema.ts`. Export it from `routes.ts`. */
export function defineRoutes<Schema extends Record<string, unknown>>(_schema: Schema): Hono<AppEnv<Schema>> {
  return new Hono<AppEnv<Schema>>()
}
