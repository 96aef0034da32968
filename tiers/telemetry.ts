import type { Tenant } from './types.ts'

/** What `tiers/` tells of its work. It knows no OpenTelemetry: the gateway gives an implementation, a library user need not. */

export type Attributes = Readonly<Record<string, string | number | boolean>>

/** The spans of one request below the gateway's own. */
export type SpanName = 'directory' | 'pool.wait' | 'transaction' | 'statement'

export interface Gauge {
  readonly value: number
  readonly attributes: Attributes
}

export interface TiersObserver {
  /** False while nobody collects spans: then `span` only calls the function, and attributes need not be made. */
  readonly enabled: boolean
  /**
   * Runs the function inside a span, which ends when it settles and notes its error.
   * @param attributes never a value of a statement: `db.query.text` holds the text with its placeholders only
   */
  span<T>(name: SpanName, attributes: Attributes, fn: () => Promise<T>): Promise<T>
  /**
   * Adds to a counter. In use: `directory.lookups` (layer: memory, redis or control; hit), `db.statements`, `db.rows`,
   * `placement.stale`. Each takes {@link tenantAttributes} where there is a tenant.
   */
  count(name: string, value: number, attributes: Attributes): void
  /** Notes a duration in milliseconds; the name says so. In use: `pool.waitMs`, `db.timeMs`, `directory.loadMs`. */
  record(name: string, value: number, attributes: Attributes): void
  /**
   * Reads a gauge whenever metrics are collected. In use: `pool.connections` (cluster, database, state), `directory.entries`.
   * @returns takes the gauge away again: it stays at 0, as does a series that `read` no longer gives
   */
  gauge(name: string, read: () => Iterable<Gauge>): () => void
}

/** Observes nothing. */
export const NO_OBSERVER: TiersObserver = Object.freeze({
  enabled: false,
  span: <T>(_name: SpanName, _attributes: Attributes, fn: () => Promise<T>) => fn(),
  count: () => {},
  record: () => {},
  gauge: () => () => {},
})

/** The attributes by which every log line, metric and span names its tenant. */
export interface TenantAttributes {
  readonly [name: string]: string
  readonly tenant_id: string
  readonly tenant_slug: string
  readonly tenant_tier: string
  readonly tenant_region: string
}

const made = new WeakMap<Tenant, TenantAttributes>()

/** Made once for each directory entry, since every statement needs them. */
export function tenantAttributes(tenant: Tenant): TenantAttributes {
  const known = made.get(tenant)
  if (known !== undefined) return known
  const attributes = Object.freeze({
    tenant_id: tenant.id,
    tenant_slug: tenant.slug,
    tenant_tier: tenant.tier,
    tenant_region: tenant.region,
  })
  made.set(tenant, attributes)
  return attributes
}
