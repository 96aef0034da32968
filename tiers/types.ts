/**
 * The words of this project, where the types are.
 *
 *   tenant     one customer: id (UUIDv7), slug, tier, region, status
 *   tier       a commercial plan, by name; it names an isolation model and limits
 *   isolation  `shared` (shared tables), `schema` (schema per tenant), `database` (database per tenant)
 *   region     a jurisdiction with its own gateways, clusters and keys
 *   cluster    one PostgreSQL server, in one region
 *   placement  where a tenant lives now: cluster, database, schema, isolation, and an epoch
 *   epoch      rises with every change of placement; a stale one is refused by the database itself
 *   room       the schema, in a database, that a placement points at
 *   fence      the row in each data database that says which epoch of a tenant it serves
 */

export type Isolation = 'shared' | 'schema' | 'database'
export const ISOLATIONS: readonly Isolation[] = ['shared', 'schema', 'database']

export type AwayPolicy = 'forward' | 'redirect' | 'reject'
export type TenantStatus = 'provisioning' | 'active' | 'suspended' | 'offboarded'

declare const brand: unique symbol
/** A tenant's id: a UUIDv7 in its canonical lower-case text form. */
export type TenantId = string & { readonly [brand]: 'TenantId' }

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
export function isTenantId(text: string): text is TenantId {
  return UUID.test(text)
}

export interface Placement {
  readonly cluster: string
  readonly database: string
  readonly schema: string
  readonly isolation: Isolation
  /** Rises with every change of placement, never used twice for a tenant. */
  readonly epoch: number
}

/** What the directory knows of a tenant: routing facts only, no key material and no customer data. */
export interface Tenant {
  readonly id: TenantId
  readonly slug: string
  readonly tier: string
  readonly region: string
  readonly status: TenantStatus
  /** What another region's gateway does with its requests; its tier's where null or left out. */
  readonly away?: AwayPolicy | null
  /** What it is kept to, by name; the configuration says what that asks for. */
  readonly profile?: string | null
  /** The only regions that its data may be in, within what its profile allows. */
  readonly pinned?: readonly string[] | null
  /** Null while the first room is still being made. */
  readonly placement: Placement | null
  /** The directory's change number at which this was read: a higher one is newer. */
  readonly version: number
}

/** The schema name that application SQL uses for "the tenant's own schema". It is replaced when a statement is sent. */
export const ROOM = '{room}'
/** As it stands in SQL text. Quoted, so that it cannot be confused with a table or an alias of the application's. */
export const ROOM_IDENTIFIER = '"{room}"'

/** One parameterised statement. The text may hold {@link ROOM_IDENTIFIER}; values only ever travel as parameters. */
export interface SqlQuery {
  readonly text: string
  readonly params: readonly unknown[]
}

export interface QueryResult<Row = Record<string, unknown>> {
  readonly rows: Row[]
  readonly rowCount: number
  /** The columns in their order; two may have one name. */
  readonly fields: readonly { readonly name: string }[]
  /** The command tag's verb: SELECT, INSERT, UPDATE, DELETE or MERGE. */
  readonly command: string
}

export type IsolationLevel = 'read committed' | 'repeatable read' | 'serializable'

export interface TransactionOptions {
  readonly readOnly?: boolean
  readonly isolationLevel?: IsolationLevel
  /** Cancels the running statement and rolls back. */
  readonly signal?: AbortSignal
  /** Of each statement, in milliseconds; at most the tier's own. */
  readonly statementTimeoutMs?: number
}

/** The user behind a request, as the credential proved it; authenticated into SQL as `tenancy.claims()`. */
export interface Claims {
  readonly sub?: string
  readonly role?: string
  readonly [claim: string]: unknown
}
