import type pg from 'pg'
import type { ClusterConfig } from '../../config/index.ts'
import { within } from '../cache/within.ts'
import { adminServerOf } from '../pg/server.ts'
import { type MoverClient, openMoverClient } from './mover-client.ts'
import type { Measurement } from './throttle.ts'

/** Measures how a server feels to those who use it. */
export interface Probe {
  /** @returns null where the server did not answer */
  sample(): Promise<Measurement | null>
  /** The way there and back, in milliseconds: the least that was seen. 0 while nothing is known. */
  wayMs(): number
  close(): Promise<void>
}

/**
 * What every tenant's request needs of a server, as one small transaction: to be woken (the sleep), to read, and to write
 * with the flush of a commit, replicas included where commits wait for them. The server itself takes the time, so neither
 * the way to it nor a mover that is busy streaming is in it. Nothing is kept: the message goes to the log and no table.
 *
 * It was chosen over the gateways' own latencies: those are of other statements each minute, are missing where nobody
 * asks, and would need a way for gateways to write to the control plane. What it does not feel: queues inside the
 * gateways, and pages of others that the copy pushed out of the server's memory.
 *
 * Movers are not counted among the others. An admin role without `pg_read_all_stats` counts the sessions of roles whose
 * rights it has, as a rule the gateways', and misses the others at rest and at work alike (`doctor` warns).
 */
const WORK = `begin; select pg_sleep(0.001); select relname from pg_class where oid = 'pg_class'::regclass;
  select pg_logical_emit_message(true, 'innkeeper', ''); commit; select ${msSoFar()} as ms`
const COUNT = `select count(*)::int as active, ${msSoFar()} as ms from pg_stat_activity
  where state = 'active' and backend_type = 'client backend'
    and pid <> pg_backend_pid() and application_name !~ '^innkeeper-(move|probe)'`

function msSoFar(): string {
  return 'extract(epoch from clock_timestamp() - statement_timestamp())::float8 * 1000'
}

/** A server with thousands of sessions takes milliseconds to count them: it is asked so seldom that this is a hundredth of the time. */
const COUNT_EVERY = 100

/** In the database that every server has, where no tenant lives and no right is taken away. */
const DATABASE = 'postgres'

/** A server that is this slow is none; and nobody may wait for a measurement for ever. */
const ANSWER_MS = 5_000

export function openProbe(cluster: ClusterConfig): Probe {
  let opening: Promise<MoverClient> | null = null
  let wayMs = Number.POSITIVE_INFINITY
  let countAt = 0
  const close = async () => {
    const was = opening
    opening = null
    await was?.then(
      (client) => client.close(),
      () => {},
    )
  }
  return {
    async sample() {
      opening ??= openMoverClient({
        ...adminServerOf(cluster),
        database: DATABASE,
        applicationName: 'innkeeper-probe',
      })
      try {
        const { raw } = await opening
        const started = performance.now()
        const asked = started < countAt ? [WORK] : [WORK, COUNT]
        const results = (await within(raw.query(asked.join(';')), ANSWER_MS)) as unknown as pg.QueryResult[]
        const [{ ms }, counted = null] = results.slice(-asked.length).map((r) => r.rows[0])
        if (counted !== null) countAt = started + (counted.ms - ms) * COUNT_EVERY
        wayMs = Math.min(wayMs, Math.max(0, performance.now() - started - (counted?.ms ?? ms)))
        return { ms, active: counted?.active ?? null }
      } catch {
        // Whatever it was, the move's own connections will say it; here it is a server that does not answer.
        await close()
        return null
      }
    },
    wayMs: () => (Number.isFinite(wayMs) ? wayMs : 0),
    close,
  }
}
