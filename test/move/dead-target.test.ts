import { afterAll, beforeAll, expect, test } from 'vitest'
import * as schema from '../../config/schema.ts'
import { BUSY } from '../support/busy.ts'
import type { TestSystem } from '../support/system.ts'
import { openFences } from './support/left.ts'
import { QUICK, startTwoClusters } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], {
    ownControlServer: true,
    moveSettings: { ...QUICK, leaseMs: 1_500, silentMs: 700, retryMs: 200 },
  })
})
afterAll(() => system?.close())

test('a tenant does not wait for the server that it was about to move to: it is served at home while that is dead', async () => {
  const { moves } = system.control
  const target = system.servers.get('eu')!.server
  let isDead = false
  const runner = moves.run(async (point) => {
    if (point !== 'fenced' || isDead) return
    isDead = true
    target.kill('SIGKILL')
  })
  const tenants = await system.openTenants('us')
  const db = tenants.for('acme')
  const { id, tenantId } = await moves.start({ tenant: 'acme', tier: 'pro', cluster: 'us-2', by: 'test' })
  try {
    await expect.poll(() => isDead, { timeout: 10_000 * BUSY }).toBe(true)
    // Nothing but the move's own fence stands in the way, for longer than any request would wait.
    await expect
      .poll(
        () =>
          db
            .insert(schema.tags)
            .values({ name: 'written at home' })
            .then(
              () => true,
              () => false,
            ),
        {
          timeout: 10_000 * BUSY,
        },
      )
      .toBe(true)
    expect((await moves.get(id)).state).not.toBe('watching')
  } finally {
    await target.restart()
  }
  const { state } = await moves.reached(id, 'watching', 'aborted')
  expect(['watching', 'aborted']).toContain(state)
  expect(await db.select({ name: schema.tags.name }).from(schema.tags)).toEqual([{ name: 'written at home' }])
  expect(await openFences(system, tenantId)).toHaveLength(1)
  await runner.close()
  await tenants.close()
})
