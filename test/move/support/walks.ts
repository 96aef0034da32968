import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RunningGateway } from '../../../gateway/serve.ts'
import type { Move } from '../../../tiers/move/types.ts'
import type { Isolation } from '../../../tiers/types.ts'
import { BUSY } from '../../support/busy.ts'
import type { TestSystem } from '../../support/system.ts'
import { expectSameRows } from './fingerprint.ts'
import { startLoadGateway } from './gateway.ts'
import { expectNothingLost, type LoadOptions, startLoadOn } from './load.ts'
import { httpClient, interfaceClient } from './load-client.ts'
import { QUICK, startTwoClusters, TIER_OF } from './two-clusters.ts'

/** Where a tenant goes: from one model to each of the others named and back by a rollback, and to the last one to stay. */
export type Walk = readonly [from: Isolation, ...to: Isolation[]]

/**
 * Moves a tenant, who is written and read all the while, along the walks; it begins on the shared model.
 *
 * @param options of the load
 */
export function testWalks(walks: readonly Walk[], options: LoadOptions = {}): void {
  let system: TestSystem
  let gateway: RunningGateway
  /** The cut-overs whose rows were looked at while the tenant was shut out: `cutting_over ID`, `returning ID`. */
  const looked = new Set<string>()
  beforeAll(async () => {
    // The rows are hashed once more within the pause.
    const moveSettings = { ...QUICK, deadlineMs: 1_000 * BUSY }
    system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], { moveSettings })
    system.control.moves.run(async (point, ctx) => {
      if (point !== 'compared') return
      await expectSameRows(ctx)
      looked.add(`${ctx.move.state} ${ctx.move.id}`)
    })
    gateway = await startLoadGateway(system)
  })
  afterAll(async () => {
    await gateway?.close()
    await system?.close()
  })

  test('there, and back by a rollback, under load through HTTP and the interface: nothing is lost, no request fails', async () => {
    const { moves } = system.control
    const tenants = await system.openTenants('us')
    const clients = [interfaceClient(tenants, 'acme'), httpClient(() => gateway.url, 'acme', system.keyOf('acme'))]
    const load = await startLoadOn(tenants, 'acme', clients, options)
    const home = async () => (await system.control.tenant('acme')).placement!
    const go = async (isolation: Isolation): Promise<Move> => {
      const cluster = (await home()).cluster === 'us-1' ? 'us-2' : 'us-1'
      const { id } = await moves.start({ tenant: 'acme', tier: TIER_OF[isolation], cluster, by: 'test' })
      const move = await moves.reached(id, 'watching')
      expect(move, move.reason ?? '').toMatchObject({ state: 'watching' })
      expect(looked).toContain(`cutting_over ${id}`)
      expect(await home()).toMatchObject({ isolation, cluster })
      expect(move.certificate!.tables!.length).toBe(6)
      for (const proof of move.certificate!.tables!) expect(proof.source).toBe(proof.target)
      return move
    }
    const pairs = new Set<string>()
    for (const [from, ...destinations] of walks) {
      for (const to of destinations) {
        const before = await home()
        expect(before.isolation).toBe(from)
        const { id } = await go(to)
        const operations = load.operations()
        await expect.poll(load.operations, { timeout: 2_000 * BUSY }).toBeGreaterThan(operations + 20)
        await moves.rollback(id)
        expect(await moves.reached(id, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
        expect(looked).toContain(`returning ${id}`)
        expect(await home()).toEqual({ ...before, epoch: expect.any(Number) })
        pairs.add(`${from} ${to}`)
      }
      await go(destinations.at(-1)!)
    }
    expectNothingLost(await load.stop())
    expect(pairs.size).toBe(walks.flatMap(([, ...to]) => to).length)
  }, 300_000)
}
