import type { Tenant, TenantId } from '../types.ts'

/**
 * The catalogue tenant -> placement as a gateway reads it: memory, then Redis where there is one, then the control
 * database. "No such tenant" is an answer (null) and is cached as one.
 */
export interface Directory {
  bySlug(slug: string): Promise<Tenant | null>
  byId(id: TenantId): Promise<Tenant | null>
  /** By a custom domain, lower case, without a port. */
  byDomain(domain: string): Promise<Tenant | null>
  /** What memory holds, without a promise: the hot path's first try. Undefined when it holds nothing fresh. */
  peekSlug(slug: string): Tenant | null | undefined
  peekId(id: TenantId): Tenant | null | undefined
  /** Reads past every cache: after a room said that the placement is stale. */
  refresh(id: TenantId): Promise<Tenant | null>
  status(): DirectoryStatus
  close(): Promise<void>
}

/** Walks through the directory, for background work; never on a request's path. */
export interface TenantList {
  /**
   * Active tenants in the order of their ids, a page at a time.
   * @param filter `after` is the last id of the page before
   */
  list(filter: TenantListFilter): Promise<Tenant[]>
}

export interface TenantListFilter {
  readonly regions?: readonly string[]
  readonly tiers?: readonly string[]
  readonly after?: TenantId | undefined
  readonly limit: number
}

export interface DirectoryStatus {
  /** False while the control database does not answer: what is served then may be as old as `staleForMs`. */
  readonly connected: boolean
  readonly staleForMs: number
  readonly entries: number
  /** How many of them an earlier process left on disk. */
  readonly restored: number
  /** Why what was left there is not believed; null where it is, or there was nothing. */
  readonly restoreFault?: string | null
  /** The highest change number seen. */
  readonly version: number
}
