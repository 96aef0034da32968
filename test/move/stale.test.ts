import { afterAll, beforeAll, expect, test } from 'vitest'
import * as schema from '../../config/schema.ts'
import { openClusters } from '../../tiers/pg/clusters.ts'
import { createTenants } from '../../tiers/tenants.ts'
import type { TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'
import { expectNothingLeft, openFences } from './support/left.ts'
import { startTwoClusters, TIER_OF } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters(
    (['acme', 'hooli', 'initech'] as const).map((slug, i) => ({
      slug,
      tier: (['free', 'pro', 'enterprise'] as const)[i]!,
      region: 'us',
    })),
  )
})
afterAll(() => system?.close())

/** A gateway that never hears of the move: its directory says for ever what it said before. */
async function frozenGateway(slug: string) {
  const config = system.gatewayConfig('us')
  const tenant = await system.control.tenant(slug)
  const same = async () => tenant
  const directory = {
    bySlug: same,
    byId: same,
    byDomain: same,
    peekSlug: () => tenant,
    peekId: () => tenant,
    refresh: same,
    status: () => ({ connected: true, staleForMs: 0, entries: 1, version: 1, restored: 0 }),
    close: async () => {},
  }
  const clusters = openClusters(config)
  return {
    clusters,
    tenants: createTenants({
      config: { ...config, pools: { ...config.pools, movingWaitMs: 300 } },
      directory,
      clusters,
      schema,
    }),
  }
}

test.each([
  ['acme', 'schema'],
  ['hooli', 'database'],
  ['initech', 'shared'],
] as const)(
  'a gateway that never hears of the move of %s writes nothing into the old room',
  async (slug, isolation) => {
    const { moves } = system.control
    const runner = moves.run()
    const stale = await frozenGateway(slug)
    const write = () =>
      stale.tenants
        .for(slug)
        .insert(schema.tags)
        .values({ name: `late-${Math.random()}` })
        .returning()
    await write()
    const before = (await system.control.tenant(slug)).placement!
    const { id } = await moves.start({ tenant: slug, tier: TIER_OF[isolation], by: 'test' })
    const { tenantId } = await moves.reached(id, 'watching')
    for (let i = 0; i < 5; i++) await expect(write()).rejects.toMatchObject({ code: 'tenant_moving' })
    expect(await openFences(system, tenantId)).toHaveLength(1)
    const fresh = await system.openTenants('us')
    expect(await fresh.for(slug).select().from(schema.tags)).toHaveLength(1)
    await moves.complete(id)
    expect(await moves.reached(id, 'completed')).toMatchObject({ state: 'completed' })
    await expect(write()).rejects.toThrow()
    expect(await fresh.for(slug).select().from(schema.tags)).toHaveLength(1)
    await expectNothingLeft(system, before, tenantId)
    await stale.clusters.close(0)
    await runner.close()
  },
)

test('a move that is called off half way leaves nothing, and the tenant can be moved after it', async () => {
  const { moves } = system.control
  let reachedChunk = false
  const runner = moves.run(async (point, { move, asked }) => {
    if (point !== 'chunk' || reachedChunk) return
    reachedChunk = true
    await moves.abort(move.id)
    await waitUntil('the heartbeat to bring the request', () => asked() !== null)
  })
  const { id } = await moves.start({ tenant: 'acme', tier: 'free', cluster: 'us-2', by: 'test' })
  const { to, tenantId, state, reason } = await moves.reached(id, 'watching')
  expect({ state, reason }).toEqual({ state: 'aborted', reason: 'an operator asked for it' })
  await expectNothingLeft(system, to.placement, tenantId)
  expect(await openFences(system, tenantId)).toHaveLength(1)
  expect(await moves.abort(id)).toMatchObject({ state: 'aborted' })
  await expect(moves.rollback(id)).rejects.toMatchObject({ code: 'conflict' })
  const again = await moves.start({ tenant: 'acme', tier: 'free', cluster: 'us-2', by: 'test' })
  expect(await moves.reached(again.id, 'watching')).toMatchObject({ state: 'watching' })
  await expect(system.control.offboard('acme')).rejects.toMatchObject({ code: 'conflict' })
  await expect(system.control.migrate()).rejects.toMatchObject({
    code: 'conflict',
    details: `${tenantId} is watching, move ${again.id}`,
    hint: expect.stringContaining('--complete-moves'),
  })
  // An operator may have it completed first: the migration begins when the room that was left is empty.
  const migrated = await system.control.migrate(() => {}, { completeBy: 'the operator' })
  expect(migrated).toMatchObject({ failures: [], completedMoves: [again.id] })
  expect(await moves.get(again.id)).toMatchObject({ state: 'completed', requestedBy: 'the operator' })
  await expectNothingLeft(system, again.from.placement, tenantId)
  await expect(moves.start({ tenant: 'initech', tier: 'nothing', by: 'test' })).rejects.toMatchObject({
    code: 'invalid_request',
  })
  await runner.close()
})

test('a tier of the same model is a matter of limits, and done at once', async () => {
  const move = await system.control.moves.start({ tenant: 'hooli', tier: 'enterprise', by: 'test' })
  expect(move).toMatchObject({ state: 'completed', from: { placement: move.to.placement } })
})
