import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { resolveConfig } from '../../config/index.ts'
import * as schema from '../../config/schema.ts'
import { type OpenTenants, openTenants } from '../../tiers/open-tenants.ts'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { type Link, openLink } from '../support/link.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let link: Link
let tenants: OpenTenants<typeof schema>
beforeAll(async () => {
  system = await startTestSystem({ tenants: [{ slug: 'acme', tier: 'free', region: 'us' }] })
  link = await openLink(system.servers.get('us')!.server.port)
  const env = { ...system.env, INNKEEPER_US_1_URL: link.through(system.env.INNKEEPER_US_1_URL!) }
  tenants = await openTenants(resolveConfig(system.input, { kind: 'gateway', region: 'us' }, env), { schema })
})
afterAll(async () => {
  await tenants?.close()
  await link?.close()
  await system?.close()
})

/** Ends what is connected, and keeps the news from arriving until something has been sent. */
async function endUnheard(send: () => Promise<unknown>): Promise<unknown> {
  link.set('hold')
  await withAdmin(system.servers.get('us')!.server.url(), null, {}, async (sql) => {
    await sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'innkeeper_app'`
  })
  // Once: Drizzle sends a statement each time that it is waited for.
  const sent = (async () => send())()
  sent.catch(() => {})
  await sleep(50)
  link.set('pass')
  return sent
}

const names = async () => (await tenants.for('acme').select().from(schema.tags)).map((t) => t.name).sort()

test('what is sent on a connection that the server has ended by then is executed on another, once', async () => {
  const db = tenants.for('acme')
  await db.insert(schema.tags).values({ name: 'first' })
  await endUnheard(() => db.insert(schema.tags).values({ name: 'alone' }))
  await endUnheard(() =>
    tenants.transaction('acme', async (tx) => {
      await tx.insert(schema.tags).values({ name: 'one of two' })
      await tx.insert(schema.tags).values({ name: 'two of two' })
    }),
  )
  expect(await names()).toEqual(['alone', 'first', 'one of two', 'two of two'])
})

test('a transaction whose connection is ended in the middle is not begun again behind the application’s back', async () => {
  const before = await names()
  const transaction = tenants.transaction('acme', async (tx) => {
    await tx.insert(schema.tags).values({ name: 'lost' })
    await endUnheard(() => tx.insert(schema.tags).values({ name: 'lost too' }))
  })
  await expect(transaction).rejects.toMatchObject({ code: 'outcome_unknown' })
  expect(await names()).toEqual(before)
})
