import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTestSystem({ tenants: [] })
})
afterAll(() => system?.close())

test('forty tenants made at once are all made, whatever the model', async () => {
  const tiers = ['free', 'pro', 'free', 'pro'] as const
  const made = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      system.control.createTenant({ slug: `many-${i}`, tier: tiers[i % 4]!, region: 'us' }),
    ),
  )
  expect(new Set(made.map((t) => t.id)).size).toBe(40)
  expect(made.every((t) => t.status === 'active')).toBe(true)
})

test('the same request at once and again makes one tenant', async () => {
  const request = { slug: 'once', tier: 'pro', region: 'us', idempotencyKey: 'k-1' }
  const made = await Promise.all(Array.from({ length: 12 }, () => system.control.createTenant(request)))
  expect(new Set(made.map((t) => t.id)).size).toBe(1)
  await expect(system.control.createTenant(request)).resolves.toMatchObject({ id: made[0]!.id, status: 'active' })
})
