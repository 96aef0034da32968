import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { LoadingCache } from '../../tiers/cache/loading-cache.ts'
import { isInnkeeperError } from '../../tiers/errors.ts'
import { waitUntil } from '../support/wait.ts'
import { expectSoon, type OpenDirectory, startControl, startProxy, type TestControl } from './support.ts'

let control: TestControl
beforeAll(async () => {
  control = await startControl()
})
afterAll(() => control?.close())

async function connected(options?: Parameters<TestControl['open']>[0]): Promise<OpenDirectory> {
  const directory = control.open(options)
  await waitUntil('the directory', () => directory.status().connected)
  // The first flush, of when it begins to listen, would come between the steps of a test.
  await new Promise((r) => setTimeout(r, 150))
  return directory
}

test('what is asked for by many at once is looked up once', async () => {
  const id = await control.tenant('wanted')
  const directory = await connected()
  const answers = await Promise.all(Array.from({ length: 500 }, () => directory.bySlug('wanted')))
  expect(new Set(answers.map((t) => t?.id))).toEqual(new Set([id]))
  expect(directory.lookups.control).toBe(1)
  await directory.bySlug('wanted')
  // The look-up by slug answered this question too.
  await directory.byId(id)
  expect(directory.lookups.control).toBe(1)
})

test('what is asked for by many at once, and fails, fails for all of them, and is asked again afterwards', async () => {
  const proxy = await startProxy(control.server.port)
  const url = control.config().controlUrl.replace(`:${control.server.port}/`, `:${proxy.port}/`)
  const directory = await connected({ url })
  proxy.holdAnswersTo('slow-failure')
  const settled = await Promise.allSettled(Array.from({ length: 50 }, () => directory.bySlug('slow-failure')))
  expect(settled.every((s) => s.status === 'rejected' && isInnkeeperError(s.reason, 'directory_unavailable'))).toBe(
    true,
  )
  expect(directory.lookups.control).toBe(1)
  proxy.release()
  expect(await directory.bySlug('slow-failure')).toBeNull()
  await directory.close()
  await proxy.close()
})

test('an answer that was on its way when a change arrived is not kept', async () => {
  const id = await control.tenant('on-its-way')
  const proxy = await startProxy(control.server.port)
  const url = control.config().controlUrl.replace(`:${control.server.port}/`, `:${proxy.port}/`)
  const directory = await connected({ url })
  proxy.holdAnswersTo('on-its-way')
  const early = directory.bySlug('on-its-way')
  await waitUntil('the answer to be held', () => proxy.held() === 1)
  await control.store.setStatus(id, 'suspended')
  const [{ seq }] = (await control.sql`select max(seq)::int as seq from changes`) as unknown as [{ seq: number }]
  await waitUntil('the change to arrive', () => directory.status().version >= seq)
  // Who asks after the change does not get the early answer either.
  const late = directory.bySlug('on-its-way')
  proxy.release()
  expect(await early).toMatchObject({ status: 'active' })
  expect(await late).toMatchObject({ status: 'suspended' })
  expect(await directory.bySlug('on-its-way')).toMatchObject({ status: 'suspended' })
  expect(await directory.byId(id)).toMatchObject({ status: 'suspended' })
  await directory.close()
  await proxy.close()
})

test('"there is no such tenant", on its way when the tenant is made, is not kept', async () => {
  const proxy = await startProxy(control.server.port)
  const url = control.config().controlUrl.replace(`:${control.server.port}/`, `:${proxy.port}/`)
  const directory = await connected({ url, settings: { negativeTtlMs: 3_600_000 } })
  proxy.holdAnswersTo('soon-made')
  const early = directory.bySlug('soon-made')
  await waitUntil('the answer to be held', () => proxy.held() === 1)
  const id = await control.tenant('soon-made')
  const [{ seq }] = (await control.sql`select max(seq)::int as seq from changes`) as unknown as [{ seq: number }]
  await waitUntil('the change to arrive', () => directory.status().version >= seq)
  proxy.release()
  expect(await early).toBeNull()
  expect(await directory.bySlug('soon-made')).toMatchObject({ id })
  await directory.close()
  await proxy.close()
})

test('"there is no such tenant" is remembered, and guessing names pushes no tenant out', async () => {
  await control.tenant('real')
  const directory = await connected({ settings: { entriesMax: 1_000, negativeTtlMs: 3_600_000 } })
  await directory.bySlug('real')
  const guess = async (n: number) => {
    expect(await directory.bySlug(`guess-${n}`)).toBeNull()
  }
  for (let n = 0; n < 3_000; n += 100) await Promise.all(Array.from({ length: 100 }, (_, i) => guess(n + i)))
  expect(directory.peekSlug('real')).toMatchObject({ slug: 'real' })
  expect(directory.status().entries).toBe(2)
  const before = directory.lookups.control
  await guess(2_999)
  expect(directory.lookups.control).toBe(before)
  // The oldest were forgotten: what nobody is must not fill the memory.
  expect(directory.peekSlug('guess-0')).toBeUndefined()
})

test('memory holds no more tenants than it was told to', async () => {
  const directory = await connected({ settings: { entriesMax: 5 } })
  for (let n = 0; n < 12; n++) {
    await control.tenant(`crowd-${n}`)
    await directory.bySlug(`crowd-${n}`)
  }
  expect(directory.status().entries).toBe(10)
  expect(directory.peekSlug('crowd-0')).toBeUndefined()
  expect(directory.peekSlug('crowd-11')).toMatchObject({ slug: 'crowd-11' })
})

test('what was looked up together is not looked up again together', async () => {
  const ttlMs = 1_000
  const names = Array.from({ length: 40 }, (_, n) => `spread-${n}`)
  await Promise.all(names.map((n) => control.tenant(n)))
  const directory = await connected({ settings: { ttlMs } })
  const startedAt = performance.now()
  await Promise.all(names.map((n) => directory.bySlug(n)))
  const loadMs = performance.now() - startedAt
  const heldFor = new Map<string, number>()
  await waitUntil('all to be stale', () => {
    for (const name of names) {
      if (!heldFor.has(name) && directory.peekSlug(name) === undefined) heldFor.set(name, performance.now() - startedAt)
    }
    return heldFor.size === names.length
  })
  const times = [...heldFor.values()]
  expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(ttlMs * 0.1)
  expect(Math.min(...times)).toBeGreaterThan(ttlMs * 0.85)
  expect(Math.max(...times)).toBeLessThan(ttlMs * 1.15 + loadMs + 300)
})

test.each([
  ['back', -3_600_000],
  ['forward', 48 * 3_600_000],
])('a clock that is set %s makes nothing older or younger, nor keeps anything from being held', async (way, byMs) => {
  await Promise.all([control.tenant(`held-${way}`), control.tenant(`new-${way}`)])
  const directory = await connected()
  await directory.bySlug(`held-${way}`)
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + byMs })
  try {
    for (let n = 0; n < 3; n++) {
      await directory.bySlug(`held-${way}`)
      await directory.bySlug(`new-${way}`)
    }
    expect(directory.lookups.control).toBe(2)
  } finally {
    vi.useRealTimers()
  }
})

test('what a process with a clock far ahead has left serves no longer than anything else', async () => {
  const cache = new LoadingCache<string>({
    entriesMax: 10,
    ttlMs: 10,
    negativeTtlMs: 10,
    staleMs: 300,
    down: () => true,
    load: () => Promise.reject(new Error('out of reach')),
  })
  cache.restore('ahead', 'left', Date.now() + 86_400_000)
  expect(await cache.get('ahead')).toBe('left')
  await expect.poll(() => cache.get('ahead').catch((error: Error) => error.message)).toBe('out of reach')
})

test('refresh asks the control database whatever is held', async () => {
  const restore = await control.loseNotifications()
  const directory = await connected({ settings: { pollMs: 3_600_000 } })
  const id = await control.tenant('refreshed')
  expect(await directory.byId(id)).toMatchObject({ tier: 'free' })
  await control.store.setTier(id, 'pro')
  expect(await directory.byId(id)).toMatchObject({ tier: 'free' })
  expect(await directory.refresh(id)).toMatchObject({ tier: 'pro' })
  expect(directory.peekId(id)).toMatchObject({ tier: 'pro' })
  await restore()
})

test('however many wait for a tenant that moves, its source is asked by one at a time, and nobody gets an answer from before', async () => {
  const restore = await control.loseNotifications()
  const proxy = await startProxy(control.server.port)
  const url = control.config().controlUrl.replace(`:${control.server.port}/`, `:${proxy.port}/`)
  const directory = await connected({ url, settings: { pollMs: 3_600_000 } })
  const id = await control.tenant('flooded')
  expect(await directory.byId(id)).toMatchObject({ tier: 'free' })
  const before = directory.lookups.control
  proxy.holdAnswersTo(id)
  const early = directory.refresh(id)
  await waitUntil('the answer to be held', () => proxy.held() === 1)
  await control.store.setTier(id, 'pro')
  const late = Array.from({ length: 500 }, () => directory.refresh(id))
  proxy.release()
  expect(await early).toMatchObject({ tier: 'free' })
  for (const tenant of await Promise.all(late)) expect(tenant).toMatchObject({ tier: 'pro' })
  expect(directory.lookups.control - before).toBe(2)
  await directory.close()
  await proxy.close()
  await restore()
})

test('what the directory gives cannot be changed by who gets it', async () => {
  await control.tenant('frozen')
  const directory = await connected()
  const tenant = (await directory.bySlug('frozen'))!
  expect(() => Object.assign(tenant, { tier: 'enterprise' })).toThrow(TypeError)
  expect(() => Object.assign(tenant.placement!, { schema: 'other' })).toThrow(TypeError)
})

test('a name that is none costs nothing and breaks nothing', async () => {
  const directory = await connected()
  for (const slug of ["'; drop table tenants; --", 'a\u0000b', '', '💥', 'x'.repeat(100_000), '__proto__', 'id:1']) {
    expect([slug, await directory.bySlug(slug).catch((error) => error.code)]).toEqual([slug, null])
  }
  await expectSoon([directory], (d) => d.bySlug('frozen'), { slug: 'frozen' })
})
