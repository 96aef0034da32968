import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { checkReplication } from '../../gateway/admin/doctor/replication.ts'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { ClusterPool, type ClusterPoolOptions } from '../../tiers/pg/cluster-pool.ts'
import { BUSY } from '../support/busy.ts'
import { one, type ReplicatedPostgres, startReplicatedPostgres } from '../support/replicated.ts'
import { waitUntil } from '../support/wait.ts'
import { expectNothingLost, portOf, run, startWriters } from './writers.ts'

/** A primary and its replica; the last test promotes it. What takes longer is in `test/long/failover.test.ts`. */
let on: ReplicatedPostgres
const pools: ClusterPool[] = []
beforeAll(async () => {
  on = await startReplicatedPostgres()
  await one(on.primary.url(), 'create table noted (id text)')
})
afterEach(() => Promise.all(pools.splice(0).map((p) => p.close(0))))
afterAll(() => on?.stop())

function poolOf(options: Partial<ClusterPoolOptions> = {}): ClusterPool {
  const pool = new ClusterPool({
    cluster: 'us-1',
    url: on.server.url(),
    connectionsMax: 6,
    statementsMax: 50,
    connectTimeoutMs: 2_000,
    idleMs: 60_000,
    queueWaitMs: 5_000 * BUSY,
    queuePerTenantMax: 1_000,
    ...options,
  })
  pools.push(pool)
  return pool
}

const replication = () =>
  withAdmin(on.server.url(), null, {}, async (sql) => {
    const [check] = await checkReplication('us-1', sql, [2, 2])
    return [check!.status, check!.message]
  })

test('of several hosts the primary is used, wherever it stands in the URL', async () => {
  const { primary, replica } = on
  expect(await portOf(poolOf())).toBe(primary.port)
  const swapped = on.server.url().replace(/@([^/]+),([^/]+)\//, '@$2,$1/')
  expect(swapped).toContain(`:${replica.port},`)
  expect(await portOf(poolOf({ url: swapped }))).toBe(primary.port)
  expect(await replication()).toEqual(['ok', '1 follow, 1 of them synchronously'])
})

test('a server that turns out to be a replica is left: its connection, and those that wait beside it', async () => {
  // By one name, as behind an address that moves: nothing tells before a write is refused.
  const pool = poolOf({ url: on.replica.url() })
  const two = await Promise.all([1, 2].map(() => pool.lease({ database: 'postgres', tenant: 'a', share: 6 })))
  for (const lease of two) lease.release()
  expect(pool.status().open).toBe(2)
  await expect(run(pool, `insert into noted values ('x')`)).rejects.toMatchObject({ code: 'cluster_unavailable' })
  await waitUntil('both to be closed', () => pool.status().open === 0)
  const asked = poolOf({ url: `${on.replica.url()}?target_session_attrs=primary`, queueWaitMs: 500 })
  await expect(portOf(asked)).rejects.toMatchObject({ code: 'cluster_unavailable' })
})

test('a session that made itself read-only is another matter: it costs nobody a connection', async () => {
  const pool = poolOf()
  const lease = await pool.lease({ database: 'postgres', tenant: 'a', share: 6 })
  const steps = [`select set_config('transaction_read_only', 'on', true)`, `insert into noted values ('y')`]
  const { error } = await lease.connection.run(
    steps.map((text) => ({ text, params: [], prepared: false, rows: 'none' as const })),
  )
  expect(error).toMatchObject({ code: '25006' })
  expect(lease.connection.doomed).toBe(false)
  lease.release()
})

test('a commit that was not replicated because its wait was cancelled is not acknowledged', async () => {
  const pool = poolOf()
  await run(pool, 'select 1')
  on.replica.kill('SIGSTOP')
  try {
    const writing = run(pool, `insert into noted values ('alone')`).catch((error: Error) => error)
    const waiting = `from pg_stat_activity where wait_event = 'SyncRep'`
    const count = `select count(*)::int ${waiting}`
    await waitUntil('the commit to wait', async () => (await one(on.primary.url(), count)) === 1)
    await one(on.primary.url(), `select pg_cancel_backend(pid) ${waiting}`)
    expect(await writing).toMatchObject({ code: 'outcome_unknown', message: 'The commit was not replicated' })
  } finally {
    on.replica.kill('SIGCONT')
  }
})

test('a primary is killed and its replica promoted: writes go on there, and none that was acknowledged is lost', async () => {
  const pool = poolOf()
  const short = poolOf({ queueWaitMs: 500 })
  const writers = startWriters(pool)
  await waitUntil('writes', () => writers.acknowledged.size > 50)
  on.primary.kill('SIGKILL')
  await sleep(300)
  await on.promote()
  const [before, promotedAt] = [writers.acknowledged.size, performance.now()]
  await waitUntil('writes to go on', () => writers.acknowledged.size > before, 5_000 * BUSY)
  const resumedMs = Math.round(performance.now() - promotedAt)
  await waitUntil('more writes', () => writers.acknowledged.size > before + 50)
  await writers.stop()
  console.info(`writes resumed ${resumedMs} ms after the promotion; ${writers.unclear.size} were unclear`)
  // Only what was under way when it died; who came while there was no primary waited.
  expect(writers.unclear.size).toBeLessThanOrEqual(3)
  await expectNothingLost(writers, on.replica.url())
  expect(await replication()).toEqual(['warn', '2 hosts are named, and no replica follows'])

  // The old primary comes back and believes that it still is one.
  expect(await portOf(short)).toBe(on.replica.port)
  await on.primary.restart()
  expect(await one(on.primary.url(), 'select pg_is_in_recovery()')).toBe(false)
  // Not even who has never seen the new one writes to the old while both are there.
  expect(await portOf(poolOf())).toBe(on.replica.port)
  // And who has does not with the new one gone.
  on.replica.kill('SIGKILL')
  await waitUntil('its connections to be lost', () => short.status().open === 0)
  const refused = await portOf(short).catch((error: Error) => error)
  expect(refused).toMatchObject({ code: 'cluster_unavailable' })
  expect(((refused as Error).cause as Error).message).toMatch(/is an old primary: its timeline is 1, and 2 was seen/)
})
