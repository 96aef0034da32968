import type { Context } from 'hono'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type * as schema from '../../config/schema.ts'
import { createRestRooms } from '../../gateway/rest-room.ts'
import type { OpenTenants } from '../../tiers/open-tenants.ts'
import { withAdmin } from '../../tiers/pg/admin.ts'
import type { RoomSession } from '../../tiers/room/session.ts'
import type { Tenant } from '../../tiers/types.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let tenants: OpenTenants<typeof schema>
beforeAll(async () => {
  system = await startTestSystem({
    tenants: ['hooli', 'globex'].map((slug) => ({ slug, tier: 'pro', region: 'us' })),
  })
  tenants = await system.openTenants()
})
afterAll(() => system?.close())

let migrations = 0
let versionsAsked = 0
let column: string
beforeEach(() => {
  column = `late_${++migrations}`
})

/** Gives one room a migration that the others do not have yet, as a run over many rooms does. */
async function migrate({ placement }: Tenant): Promise<void> {
  const { database, schema } = placement!
  await withAdmin(system.servers.get('us')!.server.url(), database, {}, (sql) =>
    sql.unsafe(`begin; alter table ${schema}.tags add column ${column} text;
      insert into tenancy.migrations (room, name, checksum) values ('${schema}', '${column}', 'x'); commit`),
  )
}

/** The data API's rooms; `afterVersion` runs once the first question of a room's version has its answer. */
function openRooms(now: () => number, afterVersion: (() => Promise<void>) | null = null) {
  let pending = afterVersion
  const session: typeof tenants.session = (tenant, options) => {
    const real = tenants.session(tenant, options)
    const execute: RoomSession['execute'] = async (...args) => {
      const result = await real.execute(...args)
      if ('version' in result.rows[0]!) versionsAsked++
      if (pending === null || !('version' in result.rows[0]!)) return result
      const work = pending
      pending = null
      await work()
      return result
    }
    return { ...real, execute }
  }
  const roomOf = createRestRooms({ ...tenants, session }, now)
  return async function columnsOf(tenant: Tenant): Promise<string[]> {
    const context = { tenant, user: null, tier: system.config.tiers[tenant.tier] } as Record<string, unknown>
    const { tables } = await roomOf({ get: (name: string) => context[name] } as unknown as Context).catalogue()
    return [...tables.get('tags')!.columns.keys()]
  }
}

test('a room that is migrated while its catalogue is read does not give it to rooms that are as before', async () => {
  const [hooli, globex] = [await tenants.find('hooli'), await tenants.find('globex')]
  const columnsOf = openRooms(Date.now, () => migrate(hooli))
  expect(await columnsOf(hooli)).toContain(column)
  expect(await columnsOf(globex)).not.toContain(column)
})

test('a request after a long rest is answered by the tables that there are, and not by those at the last one', async () => {
  const hooli = await tenants.find('hooli')
  let now = 0
  const columnsOf = openRooms(() => now)
  expect(await columnsOf(hooli)).not.toContain(column)
  await migrate(hooli)
  now += 60_000
  expect(await columnsOf(hooli)).toContain(column)
})

test('however many requests come after a rest, one statement says which tables there are', async () => {
  const hooli = await tenants.find('hooli')
  let now = 0
  const columnsOf = openRooms(() => now)
  for (let round = 0; round < 2; round++) {
    await columnsOf(hooli)
    now += 60_000
    versionsAsked = 0
    await Promise.all(Array.from({ length: 20 }, () => columnsOf(hooli)))
    expect(versionsAsked).toBe(1)
  }
})
