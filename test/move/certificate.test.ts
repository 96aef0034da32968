import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { secret } from '../../config/index.ts'
import { type SignedDocument, verify } from '../../tiers/control/signed-document.ts'
import type { Placement } from '../../tiers/types.ts'
import { BUSY } from '../support/busy.ts'
import { startTestRedis, type TestRedis } from '../support/redis.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let redis: TestRedis | null
let cache: Redis | null = null
let system: TestSystem
/** What is put back after the next emptying. */
let seed: ((left: Placement) => Promise<unknown>) | null = null
beforeAll(async () => {
  redis = await startTestRedis()
  if (redis !== null) cache = new Redis(redis.url)
  const tenants = [{ slug: 'acme', tier: 'free', region: 'us' }] as const
  system = await startTestSystem({
    regions: ['us', 'eu'],
    tenants,
    moveSettings: { quarantineMs: 100, watchPassMs: 100, deadlineMs: 5_000, drainMs: 1_000 },
    ...(redis === null ? {} : { env: { REDIS: redis.url } }),
    configure(input) {
      const us = { ...input.regions.us!, ...(redis === null ? {} : { redisUrl: secret('REDIS') }) }
      return { ...input, regions: { ...input.regions, us } }
    },
  })
  system.control.moves.run(async (point, { move }) => {
    if (point !== 'emptied' || seed === null) return
    const put = seed
    seed = null
    await put(move.from.placement)
  })
  const session = (await system.openTenants()).session('acme')
  await session.execute({ text: `insert into "{room}".tags (name) values ('one'), ('two')`, params: [] })
})
afterAll(async () => {
  cache?.disconnect()
  await system?.close()
  await redis?.stop()
})

/** Moves the tenant, completes the move with something left behind, and waits until the move says what it has found. */
async function moveAndLeave(to: { tier: string; region: string }, leave: typeof seed, found: RegExp[]) {
  const { moves } = system.control
  const { id } = await moves.start({ tenant: 'acme', ...to, by: 'sales' })
  const watched = await moves.reached(id, 'watching')
  expect(watched, watched.reason ?? '').toMatchObject({ state: 'watching' })
  expect(watched.progress).toMatchObject({ rows: 2, verified: watched.certificate?.rows })
  seed = leave
  await moves.complete(id, 'the officer')
  await expect.poll(async () => (await moves.get(id)).reason, { timeout: 5_000 * BUSY }).toMatch(/something is left/)
  const { reason, state } = await moves.get(id)
  for (const each of found) expect(reason).toMatch(each)
  return { id, state }
}

test('whatever is left of a room is found, and there is no certificate before it is gone', async () => {
  const { moves } = system.control
  const { id: tenant } = await system.control.tenant('acme')
  const role = `someone_${tenant.replaceAll('-', '')}`
  const server = () => system.control.makerOf('us-1').admin('postgres')
  const { id, state } = await moveAndLeave(
    { tier: 'pro', region: 'eu' },
    async (left) => {
      const sql = system.control.makerOf('us-1').admin(left.database)
      await sql`insert into app.tags (tenant_id, name) values (${tenant}, 'left')`
      await sql`insert into tenancy.notes (tenant_id, table_name, key) values (${tenant}, 'tags', '{"id": 1}')`
      await sql`insert into tenancy.fence (tenant_id, epoch, state, room) values (${tenant}, ${left.epoch}, 'fenced', 'app')`
      await sql.unsafe(`create table app."quarantine_${tenant}" ()`)
      await server().unsafe(`create role ${role}`)
      await system.control.keysOf('us').create(tenant, { name: 'left', scopes: ['read'], expiresAt: null })
      await cache?.set(`innkeeper:us:rate:${tenant}`, 7)
      await cache?.set(
        `ink:{directory:slug:acme}`,
        `${randomBytes(32).toString('base64url')}{"value":{"placement":{"cluster":"us-1","epoch":${left.epoch}}}}`,
      )
    },
    [
      /1 rows in tags in us-1\/innkeeper_shared/,
      /1 capture notes/,
      /1 fences/,
      /1 tables named by it/,
      /1 roles in us-1/,
      /1 API keys in key store of us/,
      ...(redis === null ? [] : [/2 keys in Redis of us/]),
    ],
  )
  expect(state).toBe('completing')
  await expect(moves.certificate(id)).rejects.toMatchObject({ code: 'conflict' })
  // What the emptying empties is gone by its next turn. What it knows nothing of stays named until somebody has removed it.
  await expect.poll(async () => (await moves.get(id)).reason, { timeout: 5_000 * BUSY }).not.toMatch(/rows|notes|Redis/)
  expect((await moves.get(id)).reason).toMatch(/roles/)
  await server().unsafe(`drop role ${role}`)
  await system.control.makerOf('us-1').admin('innkeeper_shared').unsafe(`drop table app."quarantine_${tenant}"`)
  expect(await moves.reached(id, 'completed')).toMatchObject({ state: 'completed' })

  const certificate = await moves.certificate(id)
  expect(verify(certificate as SignedDocument)).toBe(true)
  const { document } = certificate
  expect(document).toMatchObject({
    move: id,
    outcome: 'completed',
    tenant: { id: tenant, slug: 'acme' },
    askedBy: 'sales',
    endedBy: 'the officer',
    from: { region: 'us', placement: { cluster: 'us-1' } },
    to: { region: 'eu', placement: { cluster: 'eu-1' } },
    rows: 2,
  })
  expect(document.to.placement.epoch).toBeGreaterThan(document.from.placement.epoch)
  expect(document.pauseMs).toBeGreaterThan(0)
  expect(document.tables.find((t) => t.table === 'tags')).toMatchObject({ rows: 2 })
  for (const { source, target } of document.tables) expect(source).toBe(target)
  const { asked, verified, flipped, emptied, scanned } = document.times
  expect([asked, verified, flipped, emptied, scanned].toSorted()).toEqual([asked, verified, flipped, emptied, scanned])
  const looked = new Set(document.scan.map((l) => l.place))
  for (const place of ['us-1', 'us-1/innkeeper_shared', 'eu-1/innkeeper_schemas', 'key store of us']) {
    expect(looked).toContain(place)
  }
  expect(document.scan.every((l) => l.found === 0)).toBe(true)
}, 120_000)

test('a schema that is left is found, and so is a database', async () => {
  const { moves } = system.control
  const leftSchema = await moveAndLeave(
    { tier: 'enterprise', region: 'us' },
    (left) => system.control.makerOf('eu-1').admin(left.database).unsafe(`create schema ${left.schema}`),
    [/1 schemas in eu-1/],
  )
  expect(await moves.reached(leftSchema.id, 'completed')).toMatchObject({ state: 'completed' })
  const leftDatabase = await moveAndLeave(
    { tier: 'free', region: 'us' },
    (left) => system.control.makerOf('us-1').admin('postgres').unsafe(`create database ${left.database}`),
    [/1 databases in us-1/],
  )
  expect(await moves.reached(leftDatabase.id, 'completed')).toMatchObject({ state: 'completed' })
}, 120_000)
