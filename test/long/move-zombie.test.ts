import { afterAll, beforeAll, test } from 'vitest'
import { eu, us, wakeZombie, ZOMBIE_SETTINGS } from '../move/support/zombie.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  const tenants = [{ slug: 'acme', tier: 'free', region: 'us' }] as const
  system = await startTestSystem({ regions: ['us', 'eu'], tenants, moveSettings: ZOMBIE_SETTINGS })
})
afterAll(() => system?.close())

// The rest of what test/move/zombie.test.ts is about.
test.each([
  ['before it announces itself', { point: 'claimed', during: 'move', home: us('free'), to: us('pro') }],
  ['when it has made a database', { point: 'room_made', during: 'move', home: us('free'), to: us('enterprise') }],
  ['before it brings API keys', { point: 'state:cutting_over', during: 'move', home: us('pro'), to: eu('pro') }],
  ['before it drops a database', { point: 'condemned', during: 'completion', home: us('enterprise'), to: us('free') }],
  ['before it forgets the move', { point: 'emptied', during: 'completion', home: us('pro'), to: us('free') }],
] as const)(
  'a mover that sleeps %s, and wakes when others have moved the tenant twice, changes nothing',
  async (_name, zombie) => {
    await wakeZombie(system, 'acme', zombie)
  },
  120_000,
)
