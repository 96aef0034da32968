import { afterAll, beforeAll, expect, test } from 'vitest'
import * as schema from '../../config/schema.ts'
import type { MoveContext } from '../../tiers/move/context.ts'
import { startTwoClusters } from '../move/support/two-clusters.ts'
import type { TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], {
    moveSettings: { deadlineMs: 30_000 },
  })
})
afterAll(() => system?.close())

/** The row came after the verification had looked, so only the look under the fence can find it spoilt. */
async function spoil({ target, move }: MoveContext, name: string): Promise<void> {
  const admin = system.control.makerOf(target.placement.cluster).admin(target.placement.database)
  const spoilt = await admin`
    update ${admin(target.placement.schema)}.tags set color = 'spoilt'
    where tenant_id = ${move.tenantId} and name = ${name} returning id`
  if (spoilt.length !== 1) throw new Error(`no tag ${name} came after the verification`)
}

const ATTEMPTS: readonly [name: string, fail: (ctx: MoveContext) => Promise<void>][] = [
  ['at the first attempt', async () => {}],
  [
    'when the attempt before failed and its connections are gone',
    async () => {
      throw new Error('the connection was lost')
    },
  ],
  ['when the connections are others within one attempt', ({ target }) => target.close()],
]

test.each(ATTEMPTS)('what changed after the verification is compared before the flip, %s', async (name, fail) => {
  const { moves } = system.control
  const acme = (await system.openTenants('us')).for('acme')
  let isBegun = false
  const runner = moves.run(async (point, ctx) => {
    if (point === 'applied' && !isBegun) await acme.insert(schema.tags).values({ name })
    if (point !== 'before_fence' || isBegun) return
    isBegun = true
    await spoil(ctx, name)
    await fail(ctx)
  })
  const { id } = await moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
  const { state, reason } = await moves.reached(id, 'watching')
  expect({ state, reason }).toEqual({
    state: 'aborted',
    reason: expect.stringMatching(/differs from the source: tags/),
  })
  await runner.close()
})
