import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ControlPlane } from '../../tiers/control/control-plane.ts'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { QUICK } from './support/two-clusters.ts'

const KEYS = '/admin/v1/tenants/acme/keys'
let system: TestSystem
let admin: TestAdmin
/** What is done when the keys have been brought, and the tenant is at the old home still. */
let beforeFence = async () => {}
/** What is done when a request knows where the tenant is at home, and has changed no key yet. */
let beforeChange = async () => {}
beforeAll(async () => {
  const tenants = [{ slug: 'acme', tier: 'free', region: 'us' }] as const
  system = await startTestSystem({ regions: ['us', 'eu'], tenants, moveSettings: QUICK })
  admin = await startTestAdmin(system, { control: { ...system.control, keysOf: lateKeys } })
  system.control.moves.run(async (point) => {
    if (point === 'before_fence') await beforeFence()
  })
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})
beforeEach(() => {
  beforeFence = async () => {}
  beforeChange = async () => {}
})

const lateKeys: ControlPlane['keysOf'] = (region) => {
  const keys = system.control.keysOf(region)
  return {
    ...keys,
    create: (...asked) => beforeChange().then(() => keys.create(...asked)),
    revoke: (...asked) => beforeChange().then(() => keys.revoke(...asked)),
  }
}

const make = async () => (await admin.call('POST', KEYS)).body.id as string
const revoke = async (id: string) => expect((await admin.call('DELETE', `${KEYS}/${id}`)).status).toBe(200)
/** By the key store of the region that the tenant is at home in. */
const status = async (id: string) => {
  const { keys } = (await admin.call('GET', KEYS)).body
  return keys.find((key: { id: string }) => key.id === id)?.status
}
const begin = (region: string) => system.control.moves.start({ tenant: 'acme', tier: 'free', region, by: 'test' })

test('keys that are revoked and made during a cut-over to another region are so there, and on the way back', async () => {
  const { moves } = system.control
  const gone = [await make(), await make()] as const
  const made: string[] = []
  const change = (id: string) => async () => {
    beforeFence = async () => {}
    await revoke(id)
    made.push(await make())
  }
  beforeFence = change(gone[0])
  const { id } = await begin('eu')
  await moves.reached(id, 'watching')
  await expect.poll(() => status(gone[0])).toBe('revoked')
  await expect.poll(() => status(made[0]!)).toBe('active')
  beforeFence = change(gone[1])
  await moves.rollback(id)
  await moves.reached(id, 'rolled_back')
  expect(made).toHaveLength(2)
  expect(await Promise.all([...gone, ...made].map(status))).toEqual(['revoked', 'revoked', 'active', 'active'])
})

test('a change of a key that is on its way while its tenant goes to another region holds there', async () => {
  const { moves } = system.control
  const gone = await make()
  const moved = async () => {
    beforeChange = async () => {}
    let seen: string | null = null
    beforeFence = async () => {
      seen ??= await make()
    }
    const { id } = await begin((await system.control.tenant('acme')).region === 'us' ? 'eu' : 'us')
    await moves.reached(id, 'watching')
    // The mover has looked once more by then, and does not again.
    await expect.poll(() => status(seen!)).toBe('active')
  }
  beforeChange = moved
  await revoke(gone)
  expect(await status(gone)).toBe('revoked')
  beforeChange = moved
  const made = await make()
  expect(await status(made)).toBe('active')
})

test('a key that is being made for a tenant who leaves is refused, and good for nothing', async () => {
  const { id } = await system.control.createTenant({ slug: 'leaver', tier: 'free', region: 'us' })
  beforeChange = async () => {
    beforeChange = async () => {}
    await system.control.offboard('leaver')
  }
  const { body } = await admin.call('POST', '/admin/v1/tenants/leaver/keys')
  expect(body).toMatchObject({ status: 410, code: 'tenant_gone' })
  expect((await system.control.keysOf('us').list(id)).map((key) => key.revokedAt !== null)).toEqual([true])
})
