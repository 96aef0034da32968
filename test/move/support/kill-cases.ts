import { expect } from 'vitest'
import type { MoveState } from '../../../tiers/move/states.ts'
import type { Isolation } from '../../../tiers/types.ts'
import type { TestSystem } from '../../support/system.ts'
import { startMover } from './kill.ts'
import { expectNothingLeft, openFences } from './left.ts'
import { expectNothingLost, forgetLoads, startLoad } from './load.ts'
import { QUICK, TIER_OF } from './two-clusters.ts'

/** A dead mover's lease runs out soon. */
export const KILL_SETTINGS = { ...QUICK, leaseMs: 800, quarantineMs: 400 }

export interface KillCase {
  readonly isolation: Isolation
  readonly cluster: string
  /** Where the mover dies. */
  readonly point: string
  /** What is asked of the move once it is watched. */
  readonly afterwards?: 'rollback' | 'complete'
}

/**
 * Moves a tenant that is written to, with a mover that is killed at one point and another one after it; and says that the
 * tenant has exactly one home, that nothing was lost, that no request failed and that nothing is left of the other room.
 */
export async function killAndResume(
  system: TestSystem,
  slug: string,
  { isolation, cluster, point, afterwards }: KillCase,
): Promise<void> {
  const { moves } = system.control
  const tenants = await system.openTenants('us')
  await forgetLoads(tenants, slug)
  const load = await startLoad(tenants, slug, 1)
  const at = async (id: string, ...states: MoveState[]) => {
    const move = await moves.reached(id, ...states)
    expect(states, `${move.state}: ${move.reason}`).toContain(move.state)
    return move
  }
  // A rollback before left the tenant where it was, which may be where this case would take it.
  const here = (await system.control.tenant(slug)).placement!
  const isHere = here.isolation === isolation && here.cluster === cluster
  const target = isHere ? (cluster === 'us-1' ? 'us-2' : 'us-1') : cluster
  let { id } = await moves.start({ tenant: slug, tier: TIER_OF[isolation], cluster: target, by: 'test' })
  let survivor: ReturnType<typeof moves.run> | null = null
  if (afterwards !== undefined) {
    survivor = moves.run()
    await at(id, 'watching')
    await survivor.close()
    await moves[afterwards](id)
  }
  const mover = startMover(system, KILL_SETTINGS, point)
  try {
    await mover.died
    survivor = moves.run()
    const end = afterwards === 'rollback' ? 'rolled_back' : afterwards === 'complete' ? 'completed' : 'watching'
    let move = await at(id, end)
    expect(await openFences(system, move.tenantId)).toHaveLength(1)
    if (end === 'watching') {
      await moves.complete(id)
      move = await at(id, 'completed')
    }
    expectNothingLost(await load.stop())
    await expectNothingLeft(system, afterwards === 'rollback' ? move.to.placement : move.from.placement, move.tenantId)
    expect((await system.control.tenant(slug)).placement).toMatchObject(
      (afterwards === 'rollback' ? move.from : move.to).placement,
    )
    id = ''
  } finally {
    mover.kill()
    if (id !== '') await load.stop().catch(() => {})
    await survivor?.close()
    await tenants.close()
  }
}
