import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ClusterPool, Lease } from '../../tiers/pg/cluster-pool.ts'
import { KEEP_MS, SLICE_MS } from '../../tiers/pg/places.ts'
import { BUSY } from '../support/busy.ts'
import { openLink } from '../support/link.ts'
import { waitUntil } from '../support/wait.ts'
import { ask, DATABASES, type PoolServer, startPoolServer } from './support.ts'

const CEILING = 8

let on: PoolServer
let pool: ClusterPool
beforeAll(async () => {
  on = await startPoolServer()
})
afterAll(() => on?.close())
afterEach(async () => {
  await pool?.close(0)
  await waitUntil('all backends to end', async () => (await on.backends()).length === 0)
})

const lease = (tenant: string, database: string = DATABASES[0], share = 4, signal?: AbortSignal): Promise<Lease> =>
  pool.lease({ tenant, database, share, signal })

describe('the ceiling', () => {
  test('is never exceeded by a hundred callers over three databases, as the server itself counts', async () => {
    pool = on.pool({ connectionsMax: CEILING })
    // The server refuses a ninth connection: opening one before another is gone would fail a caller.
    await on.sql.unsafe(`alter role pooled connection limit ${CEILING}`)
    let served = 0
    let most = 0
    let isOver = false
    const counting = (async () => {
      while (!isOver) most = Math.max(most, (await on.backends()).length)
    })()
    const caller = async (n: number) => {
      for (let i = 0; i < 6; i++) {
        const database = DATABASES[(n + i) % 3]!
        const held = await lease(`t${n % 10}`, database)
        try {
          expect(await ask(held, 'select current_database() from pg_sleep(0.001)')).toBe(database)
          // Some connections are ended instead of given back, as after a cancel.
          if ((n + i) % 17 === 0) held.connection.doomed = true
          served++
        } finally {
          held.release()
        }
      }
    }
    await Promise.all(Array.from({ length: 100 }, (_, n) => caller(n))).finally(() => {
      isOver = true
    })
    await counting
    await on.sql.unsafe('alter role pooled connection limit -1')
    expect(served).toBe(600)
    expect(most).toBeLessThanOrEqual(CEILING)
    expect(most).toBeGreaterThan(CEILING / 2)
    expect(pool.status()).toMatchObject({ leased: 0, waiting: 0 })
    expect(pool.status().open).toBeLessThanOrEqual(CEILING)
  })

  test('one tenant alone may use three quarters of it, so that the first request of another one does not wait', async () => {
    pool = on.pool({ connectionsMax: CEILING })
    const waiting = Array.from({ length: 20 }, () => lease('alone', DATABASES[0], 2))
    await waitUntil('the leases', () => pool.status().leased === CEILING * 0.75)
    expect(pool.status()).toMatchObject({ waiting: 14 })
    const startedAt = performance.now()
    const other = await lease('other', DATABASES[0], 2)
    expect(performance.now() - startedAt).toBeLessThan(500 * BUSY)
    other.release()
    for (const one of waiting) (await one).release()
  })

  test('an idle connection to another database makes room, a leased one never does', async () => {
    pool = on.pool({ connectionsMax: 2 })
    const kept = await lease('a', 'one')
    const pid = await ask(kept, 'select pg_backend_pid()')
    ;(await lease('a', 'two')).release()
    const third = await lease('a', 'three')
    expect(await ask(third, 'select current_database()')).toBe('three')
    expect(await ask(kept, 'select pg_backend_pid()')).toBe(pid)
    expect((await on.backends()).map((b) => b.datname).sort()).toEqual(['one', 'three'])
    kept.release()
    third.release()
  })

  test('connections that are not used are closed after their time, and those in use are not', async () => {
    pool = on.pool({ idleMs: 300 })
    const held = await Promise.all(['a', 'b', 'c'].map((t) => lease(t)))
    const pid = await ask(held[0]!, 'select pg_backend_pid()')
    for (const one of held.slice(1)) one.release()
    expect((await on.backends()).length).toBe(3)
    await waitUntil('the idle ones to end', async () => (await on.backends()).length === 1, 2_000)
    await waitUntil('the pool to know', () => pool.status().open === 1)
    expect(await ask(held[0]!, 'select pg_backend_pid()')).toBe(pid)
    held[0]!.release()
  })
})

describe('places', () => {
  test('are kept by their databases while more wait at two of them than there are places', async () => {
    pool = on.pool({ connectionsMax: 4 })
    const startedAt = performance.now()
    const pids = new Set<unknown>()
    const served = { one: 0, two: 0 }
    const caller = async (n: number, database: 'one' | 'two') => {
      for (let i = 0; i < 60; i++) {
        const held = await lease(`${database}-${n % 6}`, database)
        pids.add(await ask(held, 'select pg_backend_pid()'))
        served[database]++
        held.release()
      }
    }
    await Promise.all(Array.from({ length: 20 }, (_, n) => caller(n, n % 5 === 0 ? 'two' : 'one')))
    expect(served).toEqual({ one: 960, two: 240 })
    // A place that went to and fro with the turns would have cost a connection at nearly every one of them.
    const changes = (4 * (performance.now() - startedAt)) / KEEP_MS
    expect(pids.size).toBeLessThanOrEqual(4 + 4 + changes)
  })

  test('a database without a connection is served while another has more callers than places', async () => {
    pool = on.pool({ connectionsMax: 1 })
    let isOver = false
    const busy = Array.from({ length: 4 }, async (_, n) => {
      while (!isOver) {
        const held = await lease(`busy-${n}`, 'one')
        await ask(held, 'select 1')
        held.release()
      }
    })
    for (let i = 0; i < 3; i++) {
      const held = await lease('other', 'two')
      expect(await ask(held, 'select current_database()')).toBe('two')
      held.release()
    }
    isOver = true
    await Promise.all(busy)
  })

  test('a place that has changed hands serves somebody before it is asked for again, however long others have waited', async () => {
    pool = on.pool({ connectionsMax: 1 })
    const held = await lease('a', 'one')
    const waiting = [lease('b', 'one'), lease('c', 'two')]
    // Now each has waited for longer than a slice, and so each would be first.
    await sleep(SLICE_MS * 1.5)
    held.release()
    for (const next of waiting) next.then((one) => one.release()).catch(() => {})
    await Promise.all(waiting)
  })

  test('who waits is served by the connection that is free first, not by the one that is made because of it', async () => {
    const link = await openLink(on.server.port)
    try {
      pool = on.pool({ url: link.through(on.server.url('postgres', 'pooled', 'p')), connectTimeoutMs: 20_000 })
      const held = await lease('a')
      // From here on no connection can be made.
      link.set('drop')
      const next = lease('b')
      held.release()
      ;(await next).release()
    } finally {
      link.set('reset')
      await pool.close(0)
      await link.close()
    }
  })
})

describe('turns', () => {
  test('a tenant with forty slow statements delays the others by a turn each, not by forty', async () => {
    pool = on.pool({ connectionsMax: 4 })
    const order: string[] = []
    const run = async (tenant: string, text: string) => {
      const held = await lease(tenant, DATABASES[0], 2)
      order.push(tenant)
      await ask(held, text)
      held.release()
    }
    const noisy = Array.from({ length: 40 }, () => run('noisy', 'select pg_sleep(0.05)'))
    const quiet = Array.from({ length: 30 }, (_, n) => run(`quiet-${n % 3}`, 'select 1'))
    await Promise.all([...noisy, ...quiet])
    const lastQuiet = order.lastIndexOf(order.findLast((t) => t !== 'noisy')!)
    const noisyBefore = order.slice(0, lastQuiet).filter((t) => t === 'noisy').length
    // Three others wait with ten requests each: in ten rounds the noisy one has had ten turns, and what it began with.
    expect(noisyBefore).toBeLessThanOrEqual(14)
    expect(order).toHaveLength(70)
  })

  test('with one connection for all, the tenants that wait have it in turns, whoever came first', async () => {
    pool = on.pool({ connectionsMax: 1 })
    const held = await lease('noisy')
    const order: string[] = []
    const waiting = ['noisy', 'noisy', 'noisy', 'noisy', 'first', 'second', 'first'].map(async (tenant) => {
      const one = await lease(tenant)
      order.push(tenant)
      await ask(one, 'select 1')
      one.release()
    })
    held.release()
    await Promise.all(waiting)
    expect(order).toEqual(['noisy', 'first', 'second', 'noisy', 'first', 'noisy', 'noisy'])
  })

  test('a tenant at its share waits while others do, though connections are free for them', async () => {
    pool = on.pool({ connectionsMax: 4 })
    const first = await Promise.all([lease('greedy'), lease('greedy'), lease('greedy')])
    const more = [lease('greedy', 'one', 2), lease('greedy', 'one', 2)]
    const other = await lease('modest')
    expect(pool.status()).toEqual({ open: 4, leased: 4, waiting: 2 })
    const second = lease('modest')
    first[0]!.release()
    // Two tenants wait, each may have two: the turn is the modest one's.
    const got = await second
    expect(pool.status().waiting).toBe(2)
    for (const held of [...first.slice(1), other, got]) held.release()
    for (const held of await Promise.all(more)) held.release()
  })
})

describe('the queue', () => {
  test('is bounded for each tenant: the next is told at once to come back later', async () => {
    pool = on.pool({ connectionsMax: 1, queuePerTenantMax: 3 })
    const held = await lease('a')
    const waiting = [lease('a'), lease('a'), lease('a')]
    await expect(lease('a')).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: expect.any(Number) })
    // Another tenant's line is its own.
    const other = lease('b')
    held.release()
    await Promise.all([...waiting, other].map(async (one) => (await one).release()))
  })

  test('is bounded in time', async () => {
    pool = on.pool({ connectionsMax: 1, queueWaitMs: 200 })
    const held = await lease('a')
    const startedAt = performance.now()
    await expect(lease('b')).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: expect.any(Number) })
    expect(performance.now() - startedAt).toBeGreaterThan(150)
    expect(performance.now() - startedAt).toBeLessThan(600 * BUSY)
    expect(pool.status().waiting).toBe(0)
    held.release()
    ;(await lease('b')).release()
  })

  test('who gives up leaves it, and takes no turn', async () => {
    pool = on.pool({ connectionsMax: 1 })
    const held = await lease('a')
    const controller = new AbortController()
    const gone = lease('b', DATABASES[0], 4, controller.signal)
    const next = lease('c')
    const reason = new Error('the client went away')
    controller.abort(reason)
    await expect(gone).rejects.toBe(reason)
    expect(pool.status().waiting).toBe(1)
    held.release()
    ;(await next).release()
    expect(pool.status()).toEqual({ open: 1, leased: 0, waiting: 0 })
    await expect(lease('d', DATABASES[0], 4, AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(pool.status()).toEqual({ open: 1, leased: 0, waiting: 0 })
  })

  test('a lease is released once', async () => {
    pool = on.pool()
    const held = await lease('a')
    held.release()
    expect(() => held.release()).toThrow()
    expect(pool.status()).toEqual({ open: 1, leased: 0, waiting: 0 })
  })
})
