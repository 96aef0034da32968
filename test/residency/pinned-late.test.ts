import { afterAll, beforeAll, expect, test } from 'vitest'
import { withAdmin } from '../../tiers/pg/admin.ts'
import type { TestSystem } from '../support/system.ts'
import { startResidencySystem } from './support.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startResidencySystem({ tenants: [{ slug: 'acme', tier: 'free', region: 'us' }] })
})
afterAll(() => system?.close())

test('a move that the residency forbids by the time of its flip is given up at once: its tenant is not kept waiting', async () => {
  const { moves } = system.control
  let attempts = 0
  const runner = moves.run(async (point) => {
    if (point === 'fenced') attempts++
    if (point !== 'opened') return
    await withAdmin(
      system.env.INNKEEPER_CONTROL_URL!,
      null,
      {},
      (sql) => sql`update tenants set pinned = '{us}' where slug = 'acme'`,
    )
  })
  const { id } = await moves.start({ tenant: 'acme', region: 'eu', by: 'test' })
  expect(await moves.reached(id, 'aborted')).toMatchObject({
    state: 'aborted',
    reason: expect.stringMatching(/pinned/),
  })
  expect(attempts).toBe(1)
  expect(await system.control.tenant('acme')).toMatchObject({ region: 'us' })
  await runner.close()
})
