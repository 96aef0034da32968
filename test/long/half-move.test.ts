import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Placement } from '../../tiers/types.ts'
import { startTwoHalves, type TwoHalves } from '../half/world.ts'
import { fingerprint } from '../move/support/fingerprint.ts'
import { expectNothingLeft, openFences } from '../move/support/left.ts'
import { expectNothingLost, startLoad } from '../move/support/load.ts'
import { waitUntil } from '../support/wait.ts'

let world: TwoHalves
beforeAll(async () => {
  world = await startTwoHalves([
    { slug: 'acme', tier: 'free', region: 'us' },
    { slug: 'hooli', tier: 'free', region: 'us' },
  ])
}, 120_000)
afterAll(() => world?.close())

test('a tenant goes to another region, back, there again and stays, while it is written to: two halves, each with its own region’s credentials', async () => {
  const { system, control, taps } = world
  const { moves } = control
  const { id } = await system.control.tenant('acme')
  const keys = async (region: string) => (await system.control.keysOf(region).list(id)).map((k) => k.id)
  const at = async (move: string, state: 'watching' | 'rolled_back' | 'completed') => {
    const reached = await moves.reached(move, state)
    expect(reached.state, `${reached.reason} ${world.halves.eu.log()}`).toBe(state)
    return reached
  }
  const [key] = await keys('us')
  const tenants = await system.openTenants()
  const canary = randomBytes(16).toString('hex')
  await tenants
    .session('acme')
    .execute({ text: `insert into "{room}".customers (name, email) values ($1, $1)`, params: [canary] })
  for (const tap of Object.values(taps)) tap.isRecording = true

  const load = await startLoad(tenants, 'acme', 1)
  const first = await moves.start({ tenant: 'acme', tier: 'pro', region: 'eu', by: 'test' })
  await at(first.id, 'watching')
  expect(await keys('eu')).toEqual([key])
  expect(await system.control.tenant('acme')).toMatchObject({ region: 'eu', tier: 'pro' })
  await moves.rollback(first.id)
  const back = await at(first.id, 'rolled_back')
  expect(await keys('eu')).toEqual([])
  await expectNothingLeft(system, back.to.placement, id)

  const second = await moves.start({ tenant: 'acme', tier: 'enterprise', region: 'eu', by: 'test' })
  const watched = await at(second.id, 'watching')
  expectNothingLost(await load.stop())
  const prints = (region: 'us' | 'eu', room: Placement) =>
    fingerprint(system.env[`INNKEEPER_${region.toUpperCase()}_1_ADMIN_URL`]!, room, id)
  // What was written at the new home has come to the old one by the reverse stream: every row is the same at both.
  const home = await prints('eu', watched.to.placement)
  expect(home.customers).toMatch(/^[1-9]/)
  await waitUntil('the old room is equal', async () => {
    const old = await prints('us', watched.from.placement)
    return JSON.stringify(old) === JSON.stringify(home)
  })
  await moves.complete(second.id)
  const done = await at(second.id, 'completed')
  expect(done.certificate).toMatchObject({ left: { rows: 0, notes: 0, fence: 0 } })
  await expectNothingLeft(system, done.from.placement, id)
  expect(await keys('us')).toEqual([])
  expect(await openFences(system, id)).toHaveLength(1)
  expect(await prints('eu', done.to.placement)).toEqual(home)

  // No half can sign: the control plane does, when it is asked for it.
  expect(await moves.certificate(second.id)).toMatchObject({ signature: expect.any(String) })
  for (const tap of Object.values(taps)) tap.isRecording = false
  for (const [name, tap] of Object.entries(taps)) {
    const seen = tap.recorded()
    expect([name, seen.some((bytes) => bytes.includes(canary))]).toEqual([name, false])
  }
  // The rows of the move did go that way.
  expect(Buffer.concat(taps['half us'].recorded()).length).toBeGreaterThan(20_000)
  await tenants.close()
}, 120_000)

test('a move within a region is its half’s alone', async () => {
  const { system, control, taps } = world
  const made = Object.fromEntries(Object.entries(taps).map(([name, tap]) => [name, tap.connections().made]))
  const move = await control.moves.start({ tenant: 'hooli', tier: 'enterprise', by: 'test' })
  expect((await control.moves.reached(move.id, 'watching')).state).toBe('watching')
  await control.moves.complete(move.id)
  expect((await control.moves.reached(move.id, 'completed')).state).toBe('completed')
  for (const name of ['half us', 'half eu'] as const) expect(taps[name].connections().made).toBe(made[name])
  expect(await system.control.tenant('hooli')).toMatchObject({ region: 'us', tier: 'enterprise' })
}, 60_000)
