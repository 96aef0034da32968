import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TenantId } from '../../tiers/types.ts'
import { waitUntil } from '../support/wait.ts'
import { expectSoon, type OpenDirectory, startControl, startProxy, type TestControl } from './support.ts'

let control: TestControl
let both: OpenDirectory[]
beforeAll(async () => {
  control = await startControl()
  both = [control.open(), control.open()]
  for (const d of both) await waitUntil('the directory', () => d.status().connected)
})
afterAll(() => control?.close())

const holds = async (ask: (d: OpenDirectory) => Promise<unknown>, answer: unknown) => {
  for (const d of both) expect(await ask(d)).toEqual(answer === null ? null : expect.objectContaining(answer as object))
}

/** Each makes sure that both gateways hold the old answer, changes it, and expects the new one. */
const CHANGES: Record<string, (slug: string) => Promise<void>> = {
  async 'a suspension, by slug and by id'(slug) {
    const id = await control.tenant(slug)
    await holds((d) => d.bySlug(slug), { id, status: 'active' })
    await holds((d) => d.byId(id), { id, status: 'active' })
    await control.store.setStatus(id, 'suspended')
    await expectSoon(both, (d) => d.bySlug(slug), { status: 'suspended' })
    await expectSoon(both, (d) => d.byId(id), { status: 'suspended' })
  },
  async 'another tier'(slug) {
    const id = await control.tenant(slug)
    await holds((d) => d.bySlug(slug), { tier: 'free' })
    await control.store.setTier(id, 'pro')
    await expectSoon(both, (d) => d.bySlug(slug), { tier: 'pro' })
  },
  async 'another placement'(slug) {
    const id = await control.tenant(slug)
    await holds((d) => d.byId(id), { id })
    await control.sql`update placements set cluster = 'us-2', epoch = 7 where tenant_id = ${id}`
    const placement = expect.objectContaining({ cluster: 'us-2', epoch: 7 })
    await expectSoon(both, (d) => d.byId(id), { placement })
  },
  async 'a new tenant that was asked for too early'(slug) {
    await holds((d) => d.bySlug(slug), null)
    const id = await control.tenant(slug)
    await expectSoon(both, (d) => d.bySlug(slug), { id, status: 'active' })
  },
  async 'a domain that was asked for too early, and one that moves to another tenant, and one that goes'(slug) {
    const [first, second] = [await control.tenant(`${slug}-1`), await control.tenant(`${slug}-2`)]
    const domain = `${slug}.example.com`
    await holds((d) => d.byDomain(domain), null)
    await control.store.addDomain(first, domain)
    await expectSoon(both, (d) => d.byDomain(domain), { id: first })
    await control.sql`update domains set tenant_id = ${second} where domain = ${domain}`
    await expectSoon(both, (d) => d.byDomain(domain), { id: second })
    await control.store.removeDomain(second, domain)
    await expectSoon(both, (d) => d.byDomain(domain), null)
  },
  async 'another slug: the old one names nobody, the new one the tenant'(slug) {
    const id = await control.tenant(slug)
    await holds((d) => d.bySlug(slug), { id })
    await holds((d) => d.bySlug(`${slug}-new`), null)
    await control.sql`update tenants set slug = ${`${slug}-new`} where id = ${id}`
    await expectSoon(both, (d) => d.bySlug(slug), null)
    await expectSoon(both, (d) => d.bySlug(`${slug}-new`), { id })
  },
  async 'a tenant that is gone'(slug) {
    const id = await control.tenant(slug)
    await holds((d) => d.bySlug(slug), { id })
    await control.sql`delete from tenants where id = ${id}`
    await expectSoon(both, (d) => d.bySlug(slug), null)
    await expectSoon(both, (d) => d.byId(id), null)
  },
}

test('who asks at the first word of a change is told what it was', async () => {
  const [directory] = both
  const id = await control.tenant('asks-at-once')
  expect(await directory!.byId(id)).toMatchObject({ tier: 'free' })
  const answers: Promise<unknown>[] = []
  directory!.onNotice(() => void answers.push(directory!.refresh(id)))
  await control.store.setTier(id, 'pro')
  await waitUntil('a word', () => answers.length > 0)
  expect(await answers[0]).toMatchObject({ tier: 'pro' })
  // What was asked for keeps, also when the change itself is heard of after it.
  expect(directory!.peekId(id)).toMatchObject({ tier: 'pro' })
})

describe('is visible on every gateway within a second', () => {
  test.each(Object.keys(CHANGES))('by notification: %s', (name) => CHANGES[name]!(slugOf(name)))
})

describe('is visible on every gateway within a second, with all notifications lost', () => {
  let restore: () => Promise<void>
  beforeAll(async () => {
    restore = await control.loseNotifications()
  })
  afterAll(() => restore())
  test.each(Object.keys(CHANGES))('%s', (name) => CHANGES[name]!(`quiet-${slugOf(name)}`))
})

test('is visible within a second while the listening connection is ended again and again', async () => {
  const id = await control.tenant('cut-off')
  await holds((d) => d.byId(id), { status: 'active' })
  const cutting = setInterval(() => void cutListeners(), 60)
  try {
    for (const status of ['suspended', 'active', 'suspended', 'active'] as const) {
      await control.store.setStatus(id, status)
      await expectSoon(both, (d) => d.byId(id), { status })
    }
  } finally {
    clearInterval(cutting)
  }
})

test('a gateway that was cut off looks at what it missed as soon as it listens again', async () => {
  const restore = await control.loseNotifications()
  // No poll: only listening again can make it look.
  const deaf = control.open({ settings: { pollMs: 3_600_000 } })
  const id = await control.tenant('missed')
  try {
    await expect.poll(() => deaf.status().connected).toBe(true)
    await expect.poll(listeners).toBe(3)
    expect(await deaf.byId(id)).toMatchObject({ status: 'active' })
    await control.store.setStatus(id, 'suspended')
    await new Promise((r) => setTimeout(r, 300))
    expect(deaf.peekId(id)).toMatchObject({ status: 'active' })
    await cutListeners()
    await expectSoon([deaf], (d) => d.byId(id), { status: 'suspended' })
  } finally {
    await restore()
  }
})

test('a network that forgets its connections without a word is not waited for: known and unknown tenants are served again', async () => {
  const proxy = await startProxy(control.server.port)
  const url = control.config().controlUrl.replace(`:${control.server.port}/`, `:${proxy.port}/`)
  const directory = control.open({ url })
  await waitUntil('the directory', () => directory.status().connected)
  const id = await control.tenant('forgotten')
  await Promise.all(Array.from({ length: 20 }, (_, n) => directory.bySlug(`nobody-${n}`)))
  proxy.forget()
  await waitUntil('the loss to be noticed', () => !directory.status().connected)
  await expectSoon([directory], (d) => d.bySlug('forgotten').catch(() => null), { status: 'active' })
  // By notification too.
  const heard: TenantId[] = []
  directory.onNotice(() => heard.push(id))
  await waitUntil('a word of a change', async () => {
    await control.store.setTier(id, heard.length === 0 ? 'pro' : 'free')
    return heard.length > 0
  })
  await directory.close()
  await proxy.close()
})

test('a control database that is slow once keeps its connections, and what was known stays so', async () => {
  const directory = control.open()
  await waitUntil('the directory', () => directory.status().connected)
  const id = await control.tenant('patient')
  expect(await directory.byId(id)).toMatchObject({ status: 'active' })
  const sessions = () => control.sql`
    select pid from pg_stat_activity where application_name = 'innkeeper-directory' order by pid`
  const before = await sessions()
  await control.sql.begin(async (tx) => {
    await tx`lock table changes in access exclusive mode`
    await waitUntil('a look that nothing answered', () => !directory.status().connected)
  })
  await waitUntil('the next look', () => directory.status().connected)
  expect(await sessions()).toEqual(expect.arrayContaining([...before]))
  await directory.close()
})

test('changes are seen also when the control database was restored, and gives numbers again that it gave before', async () => {
  const directory = control.open()
  const lost = 1_000_000_000
  await control.sql`
    insert into changes (seq, tenant_id, keys) overriding system value values (${lost}, gen_random_uuid(), '{}')`
  await waitUntil('the change to be seen', () => directory.status().version >= lost)
  await control.sql`delete from changes where seq = ${lost}`
  await control.sql`
    select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'innkeeper-directory'`
  await waitUntil('the restored one to be looked at', () => directory.status().version < lost)
  const id = await control.tenant('after-restore')
  expect(await directory.bySlug('after-restore')).toMatchObject({ status: 'active' })
  await control.store.setStatus(id, 'suspended')
  await expectSoon([directory, ...both], (d) => d.bySlug('after-restore'), { status: 'suspended' })
})

test('1,200 changes at once are all seen, in order, by all', async () => {
  const ids = await Promise.all(Array.from({ length: 30 }, (_, i) => control.tenant(`many-${i}`)))
  for (const d of both) await Promise.all(ids.map((id) => d.byId(id)))
  await Promise.all(
    Array.from({ length: 40 }, (_, n) => control.sql`update tenants set tier = ${`t${n}`} where slug like 'many-%'`),
  )
  const truth = await control.sql<
    { id: TenantId; tier: string }[]
  >`select id, tier from tenants where slug like 'many-%'`
  await Promise.all(truth.map(({ id, tier }) => expectSoon(both, (d) => d.byId(id), { tier })))
})

test('a change is not announced before it is committed, nor ever if it is rolled back', async () => {
  const id = await control.tenant('half-done')
  await holds((d) => d.byId(id), { tier: 'free' })
  const begun = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const writing = control.sql
    .begin(async (tx) => {
      await tx`update tenants set tier = 'pro' where id = ${id}`
      begun.resolve()
      await goOn.promise
      throw new Error('undone')
    })
    .catch((error: Error) => error.message)
  await begun.promise
  await new Promise((r) => setTimeout(r, 500))
  await holds((d) => d.byId(id), { tier: 'free' })
  goOn.resolve()
  expect(await writing).toBe('undone')
  await new Promise((r) => setTimeout(r, 500))
  await holds((d) => d.byId(id), { tier: 'free' })
})

test('who listens is told of a change when what was known before is no longer fresh', async () => {
  const directory = control.open()
  await waitUntil('the directory', () => directory.status().connected)
  const id = await control.tenant('told')
  await directory.byId(id)
  const told: [TenantId, unknown][] = []
  directory.onChange((tenant) => told.push([tenant, directory.peekId(tenant)]))
  await control.store.setTier(id, 'pro')
  // Its making may be told first, which is older than what is known.
  await waitUntil('the word of it', () => told.some(([tenant, known]) => tenant === id && known === undefined))
})

function slugOf(name: string): string {
  return name
    .replace(/[^a-z]+/g, '-')
    .slice(0, 40)
    .replace(/-$/, '')
}

async function listeners(): Promise<number> {
  const [row] = await control.sql<{ n: number }[]>`
    select count(*)::int as n from pg_stat_activity where query ilike 'listen%' and datname = 'innkeeper_control'`
  return row!.n
}

async function cutListeners(): Promise<void> {
  await control.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where query ilike 'listen%' and datname = 'innkeeper_control'`
}
