import type { AdminSql } from '../../../tiers/pg/admin.ts'
import { type Check, ok, warn } from './check.ts'

/**
 * Where a server has several hosts: whether what it acknowledges outlives the one that it has now.
 *
 * @param hosts how many are named, by the gateways' URL and by the installer's: both have to find the new primary
 */
export async function checkReplication(name: string, sql: AdminSql, hosts: readonly number[]): Promise<Check[]> {
  const check = `${name} replication`
  if (hosts.every((n) => n === 1)) return []
  if (new Set(hosts).size > 1) {
    return [
      warn(check, `one URL names ${hosts[0]} hosts, another ${hosts[1]}`, 'Name the same hosts in all URLs of it.'),
    ]
  }
  const [found] = await sql<{ replicas: number; hidden: number; synchronous: number; commit: string }[]>`
    select count(*)::int as replicas, count(*) filter (where sync_state is null)::int as hidden,
      count(*) filter (where sync_state in ('sync', 'quorum'))::int as synchronous,
      current_setting('synchronous_commit') as commit
    from pg_stat_replication`
  const { replicas, hidden, synchronous, commit } = found!
  if (replicas === 0) {
    return [warn(check, `${hosts[0]} hosts are named, and no replica follows`, 'Start a replica, or name one host.')]
  }
  if (hidden === replicas) {
    const what = `${replicas} follow; whether the primary waits for them is hidden from this role`
    return [warn(check, what, 'Grant it pg_monitor.')]
  }
  if (synchronous === 0 || commit === 'local' || commit === 'off') {
    const what = `${replicas} follow, and no commit waits for one: a failover may lose what was acknowledged`
    return [warn(check, what, 'Set synchronous_standby_names, and synchronous_commit to on.')]
  }
  return [ok(check, `${replicas} follow, ${synchronous} of them synchronously`)]
}
