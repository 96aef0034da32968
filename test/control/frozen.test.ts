import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  const tenants = [
    { slug: 'acme', tier: 'free', region: 'us' },
    { slug: 'globex', tier: 'pro', region: 'eu' },
  ] as const
  const moveSettings = { silentMs: 500 }
  system = await startTestSystem({ regions: ['us', 'eu'], ownControlServer: true, tenants, moveSettings })
})
afterAll(() => system?.close())

test('a cluster that stands still keeps no change of tenants elsewhere, and what waits for it fails', async () => {
  const { control } = system
  const { id } = await control.tenant('globex')
  const server = system.servers.get('eu')!.server
  // Its connections are there already, as those of a control plane that runs.
  await control.createTenant({ slug: 'before', tier: 'pro', region: 'eu' })
  await control.keysOf('eu').list(id)
  server.kill('SIGSTOP')
  try {
    // More than there are turns.
    const waiting = Array.from({ length: 20 }, (_, i) =>
      control.createTenant({ slug: `late-${i}`, tier: i % 2 ? 'pro' : 'free', region: 'eu', idempotencyKey: `${i}` }),
    )
    const moving = control.moves.start({ tenant: 'globex', tier: 'enterprise', by: 'test' })
    const ends = Promise.allSettled([...waiting, control.keysOf('eu').list(id), control.offboard('before'), moving])
    expect(await control.suspend('acme')).toMatchObject({ status: 'suspended' })
    expect(new Set((await ends).map((e) => e.status))).toEqual(new Set(['rejected']))
  } finally {
    server.kill('SIGCONT')
  }
  const made = await control.createTenant({ slug: 'late-1', tier: 'pro', region: 'eu', idempotencyKey: '1' })
  expect(made).toMatchObject({ status: 'active' })
  expect(await control.offboard('before')).toMatchObject({ placement: null })
})
