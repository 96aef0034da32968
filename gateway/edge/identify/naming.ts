import type { Host } from '../host.ts'

/** What a request holds that may name its tenant. */
export interface Clues {
  readonly host: Host | null
  /** The slug of `/t/{slug}`; null when the path names none. */
  readonly pathSlug: string | null
  /** X-Tenant-ID, from a trusted peer only. */
  readonly tenantHeader: string | null
}

/** One identifier that is present and well-formed. Whether there is such a tenant is looked up later. */
export interface Naming {
  readonly kind: 'slug' | 'id' | 'domain'
  readonly value: string
  /** Where it was found, in words for an error message. */
  readonly source: string
}

/** Finds its identifier; null when the request has none. Throws `invalid_request` for one that is malformed. */
export type Strategy = (clues: Clues) => Naming | null
