import { afterAll, beforeAll, expect, test } from 'vitest'
import { giveWayToMoves } from '../../tiers/migrate/give-way.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTestSystem({ tenants: ['hooli', 'pied'].map((slug) => ({ slug, tier: 'pro', region: 'us' })) })
})
afterAll(() => system?.close())

test('a room that is made to give way waits for no other room: two that migrate at once cannot deadlock', async () => {
  const [own, other] = await Promise.all(
    ['hooli', 'pied'].map(async (s) => (await system.control.tenant(s)).placement!),
  )
  const sql = system.control.makerOf(own!.cluster).admin(own!.database)
  // A trigger of the application's, as a room of a product may have; the demo's have none.
  await sql.unsafe(`
    create function "${other!.schema}".look() returns trigger language plpgsql as 'begin return new; end';
    create trigger look before insert on "${other!.schema}".tickets for each row when (new.subject <> '') execute function "${other!.schema}".look()`)
  const holder = await sql.reserve()
  try {
    await holder.unsafe(`begin; lock table "${other!.schema}".tickets in access exclusive mode`)
    const giving = sql.begin(async (tx) => {
      await tx.unsafe(`set local lock_timeout = '2s'`)
      await giveWayToMoves(tx as never, own!.schema)
    })
    await expect(giving).resolves.toBeUndefined()
  } finally {
    await holder.unsafe('rollback')
    holder.release()
  }
})
