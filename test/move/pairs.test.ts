import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Move } from '../../tiers/move/types.ts'
import type { Isolation } from '../../tiers/types.ts'
import { BUSY } from '../support/busy.ts'
import type { TestSystem } from '../support/system.ts'
import { expectNothingLost, startLoad } from './support/load.ts'
import { startTwoClusters, TIER_OF } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([
    { slug: 'acme', tier: 'free', region: 'us' },
    { slug: 'hooli', tier: 'free', region: 'us' },
  ])
  system.control.moves.run()
})
afterAll(() => system?.close())

/** A walk that takes each of the nine ordered pairs once. */
const WALK: readonly Isolation[] = [
  'shared',
  'shared',
  'schema',
  'schema',
  'database',
  'database',
  'shared',
  'database',
  'schema',
  'shared',
]

test('through all nine pairs, back and forth between clusters, under load: nothing is lost and no request fails', async () => {
  const { moves } = system.control
  const tenants = await system.openTenants('us')
  const load = await startLoad(tenants, 'acme', 1)
  const ended: Move[] = []
  for (const [i, isolation] of WALK.entries()) {
    if (i === 0) continue
    const { id } = await moves.start({
      tenant: 'acme',
      tier: TIER_OF[isolation],
      cluster: i % 2 ? 'us-2' : 'us-1',
      by: 'test',
    })
    const move = await moves.reached(id, 'watching')
    expect(move, move.reason ?? '').toMatchObject({ state: 'watching' })
    ended.push(move)
  }
  expectNothingLost(await load.stop())
  for (const { certificate, pauseMs } of ended) {
    expect(certificate!.tables!.length).toBe(6)
    for (const proof of certificate!.tables!) expect(proof.source).toBe(proof.target)
    expect(pauseMs).toBeLessThan(1_000 * BUSY)
  }
  expect(new Set(ended.map((m) => `${m.from.placement.isolation} ${m.to.placement.isolation}`)).size).toBe(9)
  expect((await system.control.tenant('acme')).placement).toMatchObject({ isolation: 'shared', cluster: 'us-2' })
}, 180_000)

test('a rollback keeps every write made since, and the tenant can be moved again', async () => {
  const { moves } = system.control
  const tenants = await system.openTenants('us')
  const home = (await system.control.tenant('hooli')).placement!
  const load = await startLoad(tenants, 'hooli', 1)
  for (const cluster of ['us-1', 'us-2']) {
    const { id } = await moves.start({ tenant: 'hooli', tier: 'pro', cluster, by: 'test' })
    expect(await moves.reached(id, 'watching')).toMatchObject({ state: 'watching' })
    const before = load.operations()
    await expect.poll(load.operations).toBeGreaterThan(before + 100)
    await moves.rollback(id)
    expect(await moves.reached(id, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
    expect((await system.control.tenant('hooli')).placement).toMatchObject({
      isolation: 'shared',
      cluster: home.cluster,
    })
  }
  expectNothingLost(await load.stop())
}, 120_000)
