import { expect } from 'vitest'
import type { MoveState } from '../../tiers/move/states.ts'
import { expectNothingLeft, openFences } from '../move/support/left.ts'
import { expectNothingLost, forgetLoads, startLoad } from '../move/support/load.ts'
import type { HalfRegion } from './support.ts'
import type { TwoHalves } from './world.ts'

export interface HalfKillCase {
  /** The half that runs the move, which is that of the region that it leads to; or the one that it reaches the other end by. */
  readonly who: 'runs' | 'reached'
  /** Where it is killed. */
  readonly point: string
  readonly tier: 'free' | 'pro' | 'enterprise'
  /** What is asked of the move once it is watched. */
  readonly afterwards?: 'rollback' | 'complete'
}

/**
 * Moves a tenant that is written to into the other region, with a half that is killed at one point and started again; and
 * says that the tenant has exactly one home, that nothing was lost, that no request failed and that nothing is left of the
 * other room.
 */
export async function killHalfAndResume(
  world: TwoHalves,
  slug: string,
  { who, point, tier, afterwards }: HalfKillCase,
): Promise<void> {
  const { system, control } = world
  const { moves } = control
  const { region } = await system.control.tenant(slug)
  const to: HalfRegion = region === 'us' ? 'eu' : 'us'
  const killed = who === 'runs' ? to : (region as HalfRegion)
  const tenants = await system.openTenants()
  await forgetLoads(tenants, slug)
  const load = await startLoad(tenants, slug, 1)
  const at = async (id: string, ...states: MoveState[]) => {
    const move = await moves.reached(id, ...states)
    expect(states, `${move.state}: ${move.reason} ${world.halves[to].log()}`).toContain(move.state)
    return move
  }
  const stopsAtPoint = async () => {
    await world.halves[to].kill()
    return world.start(to, point)
  }
  try {
    let running = afterwards === undefined ? await stopsAtPoint() : world.halves[to]
    const { id, tenantId } = await moves.start({ tenant: slug, tier, region: to, by: 'test' })
    if (afterwards !== undefined) {
      await at(id, 'watching')
      running = await stopsAtPoint()
      await moves[afterwards](id)
    }
    await running.stopped
    await world.halves[killed].kill()
    await world.start(killed)
    if (who === 'reached') running.goOn()

    const end = afterwards === 'rollback' ? 'rolled_back' : afterwards === 'complete' ? 'completed' : 'watching'
    let move = await at(id, end)
    expect(await openFences(system, tenantId)).toHaveLength(1)
    if (end === 'watching') {
      await moves.complete(id)
      move = await at(id, 'completed')
    }
    expectNothingLost(await load.stop())
    const [home, left] = afterwards === 'rollback' ? [move.from, move.to] : [move.to, move.from]
    await expectNothingLeft(system, left.placement, tenantId)
    expect(await system.control.tenant(slug)).toMatchObject({ region: home.region, placement: home.placement })
    expect(await system.control.keysOf(left.region).list(tenantId)).toEqual([])
    expect(await system.control.keysOf(home.region).list(tenantId)).not.toEqual([])
  } finally {
    await load.stop().catch(() => {})
    await tenants.close()
    // One that waits at its point would take the next move as well.
    await world.halves[to].kill()
    await world.start(to)
  }
}
