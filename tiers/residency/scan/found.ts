import type { TenantId } from '../../types.ts'

/** Where a tenant may have something: its home, and both ends of a move that has not ended. */
export interface KnownRoom {
  readonly tenant: TenantId
  readonly region: string
  readonly cluster: string
  readonly database: string
  readonly schema: string
}

/** Something that does not belong where it is. */
export interface Foreign {
  readonly region: string
  readonly cluster: string
  /** Null for what is the server's own. */
  readonly database: string | null
  readonly kind: 'database' | 'schema' | 'rows' | 'books' | 'keys' | 'role' | 'unread'
  /** The table, schema, role, and how many. */
  readonly what: string
  /** Whose it is, where that can be told. */
  readonly tenant: string | null
}

/** What was looked at: a scan that looked at nothing proves nothing. */
export interface Looked {
  readonly region: string
  readonly cluster: string
  readonly databases: number
  readonly schemas: number
  readonly tables: number
}

export interface Scan {
  readonly at: string
  readonly looked: readonly Looked[]
  readonly foreign: readonly Foreign[]
}
