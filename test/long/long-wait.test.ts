import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ConfigInput } from '../../config/index.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTestSystem({ configure: patient })
})
afterAll(() => system?.close())

test('a request that waited for its connection longer than a ticket lives is let in', async () => {
  const tenants = await system.openTenants('us')
  const sleep = tenants.session('initech').execute({ text: 'select pg_sleep(16)', params: [] })
  const waited = tenants.session('initech').execute({ text: 'select 1 as one', params: [] })
  expect((await waited).rows).toEqual([{ one: 1 }])
  await sleep
  await tenants.close()
})

/** One connection, and nobody who gives up waiting for it. */
function patient(input: ConfigInput): ConfigInput {
  const us = input.regions.us!
  const clusters = Object.fromEntries(
    Object.entries(us.clusters).map(([name, cluster]) => [name, { ...cluster, connectionsMax: 1 }]),
  )
  return {
    ...input,
    regions: { ...input.regions, us: { ...us, clusters } },
    pools: { ...input.pools, queueWaitMs: 60_000 },
  }
}
