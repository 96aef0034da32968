import { setTimeout as sleep } from 'node:timers/promises'
import { isDatabaseError } from '../pg/batch.ts'
import type { Lease } from '../pg/cluster-pool.ts'
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
/** A server that is near has let us in by then. */
const STAGGER_MS = 50
const TABLES_MAX = 50
/** Of `pg_trigger.tgtype`. */
const FOR_EACH_ROW = 1

/**
 * Makes connections to the room that a tenant is about to live in, and knocks at its door: a new connection's first entrance
 * costs ten times a later one's, and so does its first look at a table, and the tenant's requests would all be waiting for
 * them. One at a time, because each takes processors from those whom the server serves; one far away is not waited for. The
 * door is shut still, which is the expected answer. Where this process does not serve that room, or anything fails, nothing is
 * made ready.
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
  const knocks: Promise<Lease>[] = []
  while (knocks.length < CONNECTIONS) {
    const knocking = knock()
    knocks.push(knocking)
    await Promise.race([knocking.catch(() => {}), sleep(STAGGER_MS)])
  }
  const ended = await Promise.allSettled(knocks)
  // Not before there: the second would be the first once more.
  for (const one of ended) if (one.status === 'fulfilled') one.value.release()
}

/**
 * By statements that touch no row: the server's process knows the tables then, their indexes and policies, has planned a
 * change of each, and has compiled the functions that capture changes and that all policies call, which is most of what a
 * first write takes. Where a trigger of the application's would hear of a statement without rows, the table is only read.
 */
async function lookAtTables(connection: Connection, schema: string, signal: AbortSignal): Promise<void> {
  const run = async (texts: readonly string[], params: readonly string[] = []) => {
    const steps = texts.map(
      (text) => ({ text, params, prepared: false, rows: 'object', parsers: standardParsers }) as const,
    )
    const outcome = await connection.run([RESET_STEP, ...steps], signal)
    if (outcome.state !== 'I') throw outcome.error ?? new Error('a transaction was left open')
    return outcome
  }
  const { error, results } = await run([TABLES], [schema])
  if (error !== null) throw error
  const tables = (results.at(-1)!.rows as { name: string; may_change: boolean }[]).map((table) => ({
    name: `${quoteIdent(schema)}.${quoteIdent(table.name)}`,
    mayChange: table.may_change,
  }))
  if (tables.length === 0) return
  await run([
    // What notes changes is planned too, though nobody is captured yet.
    `select set_config('tenancy.rehearsal', 'on', true)`,
    tables.map(({ name }) => `select 1 from ${name} where false`).join(' union all '),
    // What is false already when a statement is planned is not planned any further.
    ...tables
      .filter(({ mayChange }) => mayChange)
      .map(
        ({ name }) => `update ${name} set tenant_id = tenant_id where (select false) and tenant_id = gen_random_uuid()`,
      ),
    // Last: nobody was entered, so it is refused.
    'select tenancy.tenant_id()',
  ])
}

const TABLES = `
  select relname::text as name,
    has_table_privilege(oid, 'update')
    and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
    and not exists (select from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal
      and t.tgtype & ${FOR_EACH_ROW} = 0 and t.tgname not like 'innkeeper\\_capture\\_%') as may_change
  from pg_class c
  where relnamespace = to_regnamespace(quote_ident($1)) and relkind = 'r' and has_table_privilege(oid, 'select')
  limit ${TABLES_MAX}`
