import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MoveState } from '../../tiers/move/states.ts'
import { ClusterPool } from '../../tiers/pg/cluster-pool.ts'
import { startWorld, type TestGateway, type World } from '../gateway/support.ts'
import { QUICK } from '../move/support/two-clusters.ts'
import { ask } from '../pools/support.ts'
import { portOf, run } from '../pools/writers.ts'
import { BUSY } from '../support/busy.ts'
import { one, type ReplicatedPostgres, startReplicatedPostgres } from '../support/replicated.ts'
import { waitUntil } from '../support/wait.ts'

let on: ReplicatedPostgres

describe('a pool', () => {
  let pool: ClusterPool
  const poolOf = (queueWaitMs: number) =>
    new ClusterPool({
      cluster: 'us-1',
      url: on.server.url(),
      connectionsMax: 6,
      statementsMax: 50,
      connectTimeoutMs: 2_000,
      idleMs: 60_000,
      queueWaitMs,
      queuePerTenantMax: 1_000,
    })
  beforeEach(async () => {
    on = await startReplicatedPostgres()
    await one(on.primary.url(), 'create table noted (id text)')
  })
  afterEach(async () => {
    on.primary.kill('SIGCONT')
    await pool?.close(0)
    await on.stop()
  })

  test('leaves a primary that only falls silent as soon as another is promoted, with what runs on it', async () => {
    pool = poolOf(5_000 * BUSY)
    await portOf(pool)
    const lease = await pool.lease({ database: 'postgres', tenant: 'a', share: 6 })
    on.primary.kill('SIGSTOP')
    const hanging = ask(lease, 'select 1').catch((error: Error) => error)
    await on.promote()
    const promotedAt = performance.now()
    expect(await hanging).toBeInstanceOf(Error)
    lease.release()
    expect(await portOf(pool)).toBe(on.replica.port)
    const leftMs = Math.round(performance.now() - promotedAt)
    console.info(`a silent primary was left ${leftMs} ms after the promotion`)
    expect(leftMs).toBeLessThan(5_000 * BUSY)
    // It wakes up, and still believes that it is the primary.
    on.primary.kill('SIGCONT')
    await sleep(2_500)
    for (let n = 0; n < 10; n++) expect(await portOf(pool)).toBe(on.replica.port)
  })

  test('does not write to a primary that is told to take no writes, and does again when it may', async () => {
    pool = poolOf(1_500)
    await run(pool, 'select 1')
    const write = () => run(pool, `insert into noted values ('z')`).catch((error: { code: string }) => error.code)
    await one(on.primary.url(), 'alter system set default_transaction_read_only = on')
    await one(on.primary.url(), 'select pg_reload_conf()')
    await waitUntil('the pool to notice', async () => (await write()) === 'cluster_unavailable', 5_000 * BUSY)
    await one(on.primary.url(), 'alter system reset default_transaction_read_only')
    await one(on.primary.url(), 'select pg_reload_conf()')
    await waitUntil('writes to go on', async () => (await write()) === undefined, 5_000 * BUSY)
  })
})

describe('a whole region on one server and its replica, the control database among it', () => {
  let world: World
  let gateway: TestGateway
  beforeEach(async () => {
    on = await startReplicatedPostgres()
    world = await startWorld({
      startServer: async () => on,
      moveSettings: { ...QUICK, leaseMs: 1_000, quarantineMs: 400 },
      configure: (i) => ({
        ...i,
        pools: { ...i.pools, queueWaitMs: 5_000 * BUSY, movingWaitMs: 10_000 * BUSY },
        directory: { ttlMs: 1_000 },
      }),
    })
    gateway = await world.gateway('us')
  })
  afterEach(async () => {
    await world?.close()
    await on?.stop()
  })

  /** Readers and writers of each tenant over HTTP, until told to stop. */
  function startLoad(slugs: readonly string[]) {
    const acknowledged = new Map(slugs.map((s) => [s, new Set<string>()]))
    const unclear: string[] = []
    const faults: unknown[] = []
    const counts = { reads: 0, writes: 0 }
    let running = true
    const write = async (slug: string, n: number) => {
      const name = `load-${n}`
      const { status, json } = await gateway.ask('/rest/v1/tags', {
        as: slug,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name, color: '#000000' }),
      })
      if (status === 201) {
        counts.writes++
        acknowledged.get(slug)!.add(name)
      } else if (json?.code === 'outcome_unknown') unclear.push(`${slug} ${name}`)
      else faults.push({ slug, name, status, json })
    }
    const read = async (slug: string) => {
      const { status, json } = await gateway.ask('/rest/v1/tags?select=name&limit=1', { as: slug })
      if (status === 200) counts.reads++
      else faults.push({ slug, read: true, status, json })
    }
    const loop = async (work: (n: number) => Promise<void>) => {
      for (let n = 0; running && faults.length < 20; n++) await work(n)
    }
    const all = slugs.flatMap((slug) => [loop((n) => write(slug, n)), loop(() => read(slug))])
    return {
      counts,
      async stop() {
        running = false
        await Promise.all(all)
        return { acknowledged, unclear, faults }
      },
    }
  }

  async function expectNothingLost(load: Awaited<ReturnType<ReturnType<typeof startLoad>['stop']>>) {
    expect(load.faults).toEqual([])
    for (const [slug, names] of load.acknowledged) {
      const there: string[] = []
      for (let offset = 0; ; offset += 1000) {
        // The limit is asked for, because a tier has its own, and the tenant may have moved to another tier.
        const page = `order=id&limit=1000&offset=${offset}`
        const { json } = await gateway.ask(`/rest/v1/tags?select=name&name=like.load-*&${page}`, { as: slug })
        there.push(...json.map((row: { name: string }) => row.name))
        if (json.length < 1000) break
      }
      const found = new Set(there)
      expect(found.size, 'nothing was written twice').toBe(there.length)
      expect([...names].filter((name) => !found.has(name))).toEqual([])
      const more = [...found].filter((name) => !names.has(name))
      expect(more.every((name) => load.unclear.includes(`${slug} ${name}`))).toBe(true)
    }
  }

  test('outlives its primary: every read is answered, writes go on, and none that was acknowledged is lost', async () => {
    const load = startLoad(['acme', 'hooli', 'initech'])
    await waitUntil('a load', () => load.counts.writes > 100 && load.counts.reads > 100, 60_000)
    on.primary.kill('SIGKILL')
    await sleep(1_000)
    await on.promote()
    const [{ reads, writes }, promotedAt] = [{ ...load.counts }, performance.now()]
    await waitUntil('reads', () => load.counts.reads > reads, 5_000 * BUSY)
    const readMs = Math.round(performance.now() - promotedAt)
    await waitUntil('writes', () => load.counts.writes > writes, 5_000 * BUSY)
    const writtenMs = Math.round(performance.now() - promotedAt)
    await waitUntil('more', () => load.counts.writes > writes + 100, 60_000)
    const report = await load.stop()
    console.info(
      `after the promotion: reads ${readMs} ms, writes ${writtenMs} ms; ${report.unclear.length} of them were unclear`,
    )
    await expectNothingLost(report)
    // The control database was on it too: what changes reaches the gateway again.
    await waitUntil('the directory', async () => (await gateway.ask('/readyz')).json.directory.connected)
    await world.system.control.suspend('hooli')
    await expect
      .poll(async () => (await gateway.ask('/v1/whoami', { as: 'hooli' })).status, { timeout: 10_000 })
      .toBe(403)
  })

  test.each(['chunk', 'applied', 'fenced', 'opened', 'flipped'])(
    'outlives it while a tenant is moved (%s), and the move ends well',
    async (point) => {
      const { moves } = world.system.control
      const load = startLoad(['acme'])
      await waitUntil('a load', () => load.counts.writes > 30, 60_000)
      let promoted: Promise<void> | null = null
      let promotedAt = 0
      const failOver = async () => {
        on.primary.kill('SIGKILL')
        await sleep(500)
        await on.promote()
        promotedAt = performance.now()
      }
      const runner = moves.run((at) => {
        if (at === point) promoted ??= failOver()
      })
      try {
        const { id } = await moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
        const stateOf = () => moves.get(id).then((m) => m.state)
        await waitUntil(point, () => promotedAt > 0, 60_000)
        const before = load.counts.writes
        await waitUntil('writes', () => load.counts.writes > before, 10_000 * BUSY)
        const writtenMs = Math.round(performance.now() - promotedAt)
        const ended: readonly MoveState[] = ['watching', 'aborted']
        await waitUntil(
          'the move to end',
          () =>
            stateOf().then(
              (s) => ended.includes(s),
              () => false,
            ),
          10_000 * BUSY,
        )
        const endedMs = Math.round(performance.now() - promotedAt)
        console.info(
          `${point}: after the promotion the tenant wrote in ${writtenMs} ms, the move was done in ${endedMs} ms`,
        )
        expect(await stateOf()).toBe('watching')
        await waitUntil('more', () => load.counts.writes > before + 50, 60_000)
        await moves.complete(id)
        await waitUntil('the move to be over', async () => (await stateOf()) === 'completed', 60_000)
        await expectNothingLost(await load.stop())
      } finally {
        await load.stop()
        await promoted
        await runner.close()
      }
    },
  )
})
