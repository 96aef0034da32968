import { isDatabaseError } from '../pg/batch.ts'
import type { Connection } from '../pg/connection.ts'
import { standardParsers } from '../pg/values.ts'
import { quoteIdent } from '../quote.ts'
import { RESET_STEP } from './enter.ts'
import type { EntranceDeps, PlacedTenant } from './entrance.ts'
import { isElsewhere } from './sqlstate.ts'
import type { StepMaker } from './steps.ts'

/** As many as a pool makes at once: what the tenant's requests would wait for otherwise. */
const CONNECTIONS = 4
const BOUND_MS = 1_000
const TABLES_MAX = 50

/**
 * Makes connections to the room that a tenant is about to live in, and knocks at its door: a new connection's first entrance
 * costs ten times a later one's, and so does its first look at a table, and the tenant's requests would all be waiting for
 * them. The door is shut still, which is the expected answer. Where this process does not serve that room, or anything fails,
 * nothing is made ready.
 */
export async function makeReady(deps: EntranceDeps, steps: StepMaker, tenant: PlacedTenant): Promise<void> {
  const signal = AbortSignal.timeout(BOUND_MS)
  const knock = async () => {
    const lease = await deps.lease(tenant, signal, true)
    const { connection } = lease
    try {
      const { state, error } = await connection.run(steps.opening(tenant, false, {}, ''), signal)
      const isRefused = isDatabaseError(error) && isElsewhere(error.code)
      if (state !== 'I' || !isRefused) connection.doomed = true
      else await lookAtTables(connection, tenant.placement.schema, signal)
    } catch {
      connection.doomed = true
    }
    return lease
  }
  const ended = await Promise.allSettled(Array.from({ length: CONNECTIONS }, knock))
  // Not before there: the second would be the first once more.
  for (const one of ended) if (one.status === 'fulfilled') one.value.release()
}

/** By a statement that reads no row: the server's process knows the tables then, their indexes and their policies. */
async function lookAtTables(connection: Connection, schema: string, signal: AbortSignal): Promise<void> {
  const run = async (text: string, params: readonly string[] = []) => {
    const step = { text, params, prepared: false, rows: 'object', parsers: standardParsers } as const
    const { state, error, results } = await connection.run([RESET_STEP, step], signal)
    if (state !== 'I' || error !== null) throw error ?? new Error('a transaction was left open')
    return results.at(-1)!.rows
  }
  const tables = (await run(
    `select relname::text as name from pg_class where relnamespace = to_regnamespace(quote_ident($1)) and relkind = 'r'
       and has_table_privilege(oid, 'select') limit ${TABLES_MAX}`,
    [schema],
  )) as { name: string }[]
  if (tables.length === 0) return
  const looks = tables.map(({ name }) => `select 1 from ${quoteIdent(schema)}.${quoteIdent(name)} where false`)
  await run(looks.join(' union all '))
}
