import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../gateway/dev/postgres/port.ts'
import type { ClusterPool, Lease } from '../../tiers/pg/cluster-pool.ts'
import { startProxy } from '../directory/support.ts'
import { BUSY } from '../support/busy.ts'
import { waitUntil } from '../support/wait.ts'
import { ask, canLease, type PoolServer, startPoolServer } from './support.ts'

let on: PoolServer
let pool: ClusterPool
beforeAll(async () => {
  on = await startPoolServer()
})
afterAll(() => on?.close())
afterEach(() => pool?.close(0))

const lease = (tenant = 'a', database = 'one'): Promise<Lease> => pool.lease({ tenant, database, share: 4 })

test('a server that refuses connections is told of at once, and nobody who waits is forgotten', async () => {
  const port = await freePort()
  pool = on.pool({ url: `postgres://pooled:p@127.0.0.1:${port}/postgres`, connectionsMax: 2 })
  const startedAt = performance.now()
  const five = Array.from({ length: 50 }, (_, n) => lease(`t${n % 5}`))
  const one = Array.from({ length: 50 }, () => lease('t1'))
  const settled = await Promise.allSettled([...five, ...one])
  for (const one of settled) {
    expect(one).toMatchObject({
      status: 'rejected',
      reason: { code: 'cluster_unavailable', retryAfterMs: expect.any(Number) },
    })
  }
  expect(performance.now() - startedAt).toBeLessThan(2_000 * BUSY)
  expect(pool.status()).toEqual({ open: 0, leased: 0, waiting: 0 })
})

test('after five failures in a row nobody is made to wait for another, and a second later it is tried again', async () => {
  const dead = await startProxy(await freePort())
  let tried = 0
  const url = `postgres://pooled:p@127.0.0.1:${dead.port}/postgres`
  await dead.close()
  const counting = createServer((socket) => {
    tried++
    socket.destroy()
  }).listen(dead.port, '127.0.0.1')
  pool = on.pool({ url, connectionsMax: 4 })
  for (let n = 0; n < 30; n++) await expect(lease()).rejects.toMatchObject({ code: 'cluster_unavailable' })
  expect(tried).toBe(5)
  await new Promise((resolve) => counting.close(resolve))
  const alive = await startProxy(on.server.port, dead.port)
  expect(await canLease(lease())).toBe(false)
  await waitUntil('the server to be tried again', () => canLease(lease()), 1_500)
  await pool.close(0)
  await alive.close()
})

test('a database that does not exist says nothing about the others of its cluster', async () => {
  pool = on.pool()
  for (let n = 0; n < 10; n++)
    await expect(lease('a', 'nowhere')).rejects.toMatchObject({ code: 'cluster_unavailable' })
  expect(await canLease(lease('b', 'one'))).toBe(true)
})

test('a wrong password says no more than that there is no connection', async () => {
  pool = on.pool({ url: on.server.url('postgres', 'pooled', 'wrong') })
  await expect(lease()).rejects.toMatchObject({
    code: 'cluster_unavailable',
    message: expect.not.stringMatching(/password|pooled/),
  })
})

test('a server that accepts and says nothing is given up after the time for connecting', async () => {
  const proxy = await startProxy(on.server.port)
  proxy.holdAnswersTo('pooled')
  const url = on.server.url('postgres', 'pooled', 'p').replace(`:${on.server.port}/`, `:${proxy.port}/`)
  pool = on.pool({ url, connectTimeoutMs: 300, connectionsMax: 1 })
  const startedAt = performance.now()
  await expect(lease()).rejects.toMatchObject({ code: 'cluster_unavailable' })
  expect(performance.now() - startedAt).toBeLessThan(1_000 * BUSY)
  proxy.release()
  await waitUntil('the server to be tried again', () => canLease(lease()))
  expect(pool.status()).toEqual({ open: 1, leased: 0, waiting: 0 })
  await pool.close(0)
  await proxy.close()
})

test('after a restart of the server the pool goes on by itself', async () => {
  pool = on.pool({ connectionsMax: 4 })
  const held = await Promise.all([lease('a'), lease('b'), lease('c'), lease('d')])
  const running = ask(held[3]!, 'select pg_sleep(30)').catch((error: Error) => error)
  for (const one of held.slice(0, 3)) one.release()
  await on.server.restart()
  expect(await running).toBeInstanceOf(Error)
  held[3]!.release()
  await waitUntil('the lost connections to be counted out', () => pool.status().open === 0)
  const again = await Promise.all(['a', 'b', 'c', 'd'].map((t) => lease(t)))
  for (const one of again) {
    expect(await ask(one, 'select 1')).toBe(1)
    one.release()
  }
})

test('an idle connection that the server has ended is never handed out', async () => {
  pool = on.pool({ connectionsMax: 3 })
  for (let round = 0; round < 10; round++) {
    const held = await Promise.all([lease('a'), lease('b')])
    for (const one of held) one.release()
    await on.sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'pooled'`
    await waitUntil('the loss to be noticed', () => pool.status().open === 0)
    const one = await lease('a')
    expect(await ask(one, 'select 1')).toBe(1)
    one.release()
  }
})

test('a frozen server cannot use up the ceiling for good', { timeout: 30_000 }, async () => {
  pool = on.pool({ connectionsMax: 2, queueWaitMs: 500 })
  const held = await Promise.all([lease('a'), lease('b')])
  on.server.kill('SIGSTOP')
  for (const one of held) {
    one.connection.doomed = true
    one.release()
  }
  on.server.kill('SIGCONT')
  await waitUntil('the pool to be of use again', () => canLease(lease()))
})

test('a cancel that meets the server between two statements of a batch ends it all the same', async () => {
  pool = on.pool({ connectionsMax: 1 })
  const step = (text: string) => ({ text, params: [], prepared: false, rows: 'none' as const })
  const steps = [...Array.from({ length: 2_000 }, () => step('select')), step('select pg_sleep(60)')]
  for (let i = 0; i < 10; i++) {
    const held = await lease()
    const controller = new AbortController()
    const running = held.connection.run(steps, controller.signal)
    setImmediate(() => controller.abort())
    expect((await running).error).toMatchObject({ code: '57014' })
    held.release()
  }
})

test('a statement on a frozen server, once given up, does not keep its place', { timeout: 30_000 }, async () => {
  pool = on.pool({ connectionsMax: 1 })
  const held = await lease('a')
  const controller = new AbortController()
  const steps = [{ text: 'select pg_sleep(60)', params: [], prepared: false, rows: 'none' as const }]
  const running = held.connection.run(steps, controller.signal).catch((error: Error) => error)
  await waitUntil('the statement to run', async () => (await on.sleeping()) === 1)
  on.server.kill('SIGSTOP')
  try {
    const startedAt = performance.now()
    controller.abort()
    expect(await running).toBeInstanceOf(Error)
    held.release()
    await waitUntil('its place to be free', () => pool.status().open === 0)
    expect(performance.now() - startedAt).toBeLessThan(4_000 * BUSY)
  } finally {
    on.server.kill('SIGCONT')
  }
  await waitUntil('the pool to be of use again', () => canLease(lease()))
})

test('an answer too large to be held ends its connection, and neither the process nor the pool', {
  timeout: 30_000,
}, async () => {
  pool = on.pool({ connectionsMax: 1 })
  const held = await lease('a')
  await expect(ask(held, "select repeat('x', 200000000)")).rejects.toMatchObject({ code: 'payload_too_large' })
  held.release()
  await waitUntil('its place to be free', () => pool.status().open === 0)
  const next = await lease('a')
  expect(String(await ask(next, "select repeat('x', 20000000)"))).toHaveLength(20_000_000)
  expect(await ask(next, 'select 1')).toBe(1)
  next.release()
})

test('a value that cannot be read fails its statement, and not the process', async () => {
  pool = on.pool({ connectionsMax: 1 })
  const held = await lease('a')
  const parsers = () => () => {
    throw new RangeError('no such value')
  }
  const step = { text: 'select 1', params: [], prepared: false, rows: 'array' as const, parsers }
  await expect(held.connection.run([step])).rejects.toThrow('no such value')
  expect(held.connection.doomed).toBe(true)
  held.release()
  await waitUntil('the pool to be of use again', () => canLease(lease()))
})

test('closing lets leases end, refuses those who wait and who come, and leaves no backend', async () => {
  pool = on.pool({ connectionsMax: 1 })
  const held = await lease('a')
  const waiting = lease('b').catch((error) => error)
  const running = ask(held, 'select 7 from pg_sleep(0.3)').finally(() => held.release())
  const closing = pool.close(5_000)
  expect(await waiting).toMatchObject({ code: 'shutting_down' })
  await expect(lease('c')).rejects.toMatchObject({ code: 'shutting_down' })
  expect(await running).toBe(7)
  await closing
  await waitUntil('all backends to end', async () => (await on.backends()).length === 0)
})

test('closing cancels what has not ended in its time', async () => {
  pool = on.pool({ connectionsMax: 1 })
  const held = await lease('a')
  const running = ask(held, 'select pg_sleep(60)').catch((error: Error) => error)
  await waitUntil('the statement to run', async () => (await on.sleeping()) === 1)
  const startedAt = performance.now()
  await pool.close(200)
  expect(performance.now() - startedAt).toBeLessThan(3_000 * BUSY)
  expect(await running).toBeInstanceOf(Error)
  await waitUntil('all backends to end', async () => (await on.backends()).length === 0, 3_000)
})
