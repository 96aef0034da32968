import { afterAll, beforeAll, expect, test } from 'vitest'
import * as schema from '../../config/schema.ts'
import type { MoveContext } from '../../tiers/move/context.ts'
import { changeFence, openRoom } from '../../tiers/move/fence.ts'
import { openSide } from '../../tiers/move/side.ts'
import type { TestSystem } from '../support/system.ts'
import { openFences } from './support/left.ts'
import { startTwoClusters } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], { moveSettings: { attemptsMax: 1 } })
})
afterAll(() => system?.close())

/** What an attempt sent on a connection that it then gave up, and what runs when that attempt was undone long ago. */
async function runLate({ source, target }: MoveContext): Promise<unknown[]> {
  const [from, to] = [openSide(source), openSide(target)]
  const codes = await Promise.all(
    [changeFence(from, { state: 'fenced', capture: false }, 1_000), openRoom(to, target.placement.epoch + 9, true)].map(
      (late) =>
        late.then(
          () => 'it was done',
          (error: { code: string }) => error.code,
        ),
    ),
  )
  await Promise.all([from.close(), to.close()])
  return codes
}

test('what an attempt that was given up left running neither fences the tenant nor opens the target', async () => {
  const { moves } = system.control
  let attempt: MoveContext | null = null
  let late: unknown[] = []
  const runner = moves.run(async (point, ctx) => {
    if (point === 'fenced') {
      attempt = ctx
      throw new Error('the connection was lost')
    }
    if (point === 'emptied') late = await runLate(attempt!)
  })
  const { id } = await moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
  const { tenantId, state } = await moves.reached(id, 'aborted')
  expect({ state, late }).toEqual({ state: 'aborted', late: ['IK040', 'IK040'] })
  expect(await openFences(system, tenantId)).toHaveLength(1)
  const tenants = await system.openTenants('us')
  expect(await tenants.for('acme').select().from(schema.tags)).toEqual([])
  await runner.close()
})
