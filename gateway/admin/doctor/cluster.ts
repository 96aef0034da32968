import type { ClusterConfig } from '../../../config/index.ts'
import type { AdminSql } from '../../../tiers/pg/admin.ts'
import { quoteIdent } from '../../../tiers/quote.ts'
import { type Check, fail, ok, warn } from './check.ts'

const VERSION_MIN = 15
const SKEW_WARN_MS = 1_000
const SKEW_FAIL_MS = 10_000

export async function checkServer(cluster: ClusterConfig, sql: AdminSql): Promise<Check[]> {
  const name = `${cluster.name} server`
  const [server] = await sql<{ version: string; number: number; max: number; readOnly: boolean }[]>`
    select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
      current_setting('max_connections')::int as max, pg_is_in_recovery() as "readOnly"`
  const { version, number, max, readOnly } = server!
  if (number < VERSION_MIN * 10_000) {
    return [fail(name, `PostgreSQL ${version} is too old`, `Upgrade it to ${VERSION_MIN} or later.`)]
  }
  if (readOnly) return [fail(name, 'it is a replica and takes no writes', 'Point the cluster at its primary.')]
  if (cluster.connectionsMax >= max) {
    const message = `PostgreSQL ${version}; one gateway may open ${cluster.connectionsMax} of its ${max} connections`
    return [warn(name, message, 'Lower connectionsMax of the cluster, or raise max_connections of the server.')]
  }
  return [ok(name, `answers; PostgreSQL ${version}, ${max} connections`)]
}

/** Tickets carry a deadline by the gateway's clock, and the database compares it with its own. */
export async function checkClock(cluster: ClusterConfig, sql: AdminSql): Promise<Check[]> {
  const name = `${cluster.name} clock`
  const asked = Date.now()
  const [server] = await sql<{ ms: number }[]>`select extract(epoch from clock_timestamp())::float8 * 1000 as ms`
  const answered = Date.now()
  // The server looked at its clock at some moment in between, so a difference that fits in there is none.
  const skewMs = Math.round(Math.max(asked - server!.ms, server!.ms - answered, 0))
  if (skewMs <= SKEW_WARN_MS) return [ok(name, `agrees with ours${skewMs > 0 ? ` to ${skewMs} ms` : ''}`)]
  const message = `differs from ours by ${skewMs} ms`
  const fix = 'Run a time service (NTP) on both machines.'
  return [skewMs > SKEW_FAIL_MS ? fail(name, message, fix) : warn(name, message, fix)]
}

/**
 * Both ways are right; the quick one spares the pool the look-up of each row's foreign keys. A mover that does not see the
 * gateways' sessions takes none of their statements for one that waits.
 *
 * @param app the gateways' login role
 */
export async function checkMover(cluster: ClusterConfig, sql: AdminSql, app: string): Promise<Check[]> {
  const [role] = await sql<{ name: string; may: boolean; sees: boolean }[]>`
    select current_user::text as name, has_parameter_privilege(current_user, 'session_replication_role', 'SET') as may,
      pg_has_role('pg_read_all_stats', 'usage') or pg_has_role(${app}, 'usage') as sees`
  const { name, may, sees } = role!
  const way = may
    ? 'the way that silences triggers and foreign keys'
    : 'the way that needs no superuser: foreign keys and triggers stay in force'
  if (sees) return [ok(`${cluster.name} moves`, way)]
  const message = `${way}; they cannot see how many statements of neighbours are under way, and give way by their time alone`
  return [warn(`${cluster.name} moves`, message, `grant pg_read_all_stats to ${quoteIdent(name)}, as a superuser.`)]
}
