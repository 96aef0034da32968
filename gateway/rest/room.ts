import type { QueryResult, SqlQuery } from '../../tiers/types.ts'
import type { Catalogue } from './catalogue/types.ts'

/** What the data API needs of a tenant: a way into its room, and what is in it. */
export interface RestRoom {
  /**
   * Runs one statement in the tenant's room, in a transaction of its own: one round trip. If `check` is given it is
   * called with the result before the commit, which costs a second one; when it throws, everything is rolled back.
   * Without a `signal` the request's own holds, which only the room knows.
   */
  run(
    query: SqlQuery,
    options: { readOnly: boolean; check?: (result: QueryResult) => void; signal?: AbortSignal },
  ): Promise<QueryResult>
  catalogue(): Promise<Catalogue>
  /** The tier's ceiling on the rows of any list in an answer. */
  maxRows: number
}
