import { afterAll, beforeAll, test } from 'vitest'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { eu, us, wakeZombie, ZOMBIE_SETTINGS } from './support/zombie.ts'

let system: TestSystem
beforeAll(async () => {
  const tenants = [{ slug: 'acme', tier: 'free', region: 'us' }] as const
  system = await startTestSystem({ regions: ['us', 'eu'], tenants, moveSettings: ZOMBIE_SETTINGS })
})
afterAll(() => system?.close())

// What a mover sends outside the transactions that hold its generation, with the mover asleep right before it. More of them
// are in test/long.
test.each([
  ['before it makes a schema', { point: 'state:preparing', during: 'move', home: us('free'), to: us('pro') }],
  ['before it makes a database', { point: 'state:preparing', during: 'move', home: us('free'), to: us('enterprise') }],
  ['before it removes a schema', { point: 'condemned', during: 'completion', home: us('pro'), to: us('free') }],
  ['before it removes API keys', { point: 'keys', during: 'completion', home: us('pro'), to: eu('pro') }],
] as const)(
  'a mover that sleeps %s, and wakes when others have moved the tenant twice, changes nothing',
  async (_name, zombie) => {
    await wakeZombie(system, 'acme', zombie)
  },
  120_000,
)
