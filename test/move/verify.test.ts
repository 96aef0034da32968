import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestSystem } from '../support/system.ts'
import { expectNothingLeft } from './support/left.ts'
import { dump, fillOdd, ODD_MIGRATIONS } from './support/odd-rows.ts'
import { startTwoClusters } from './support/two-clusters.ts'

let system: TestSystem
let inject: string | null = null
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], { migrationsFolder: ODD_MIGRATIONS })
  system.control.moves.run(async (point, { target, move }) => {
    if (point !== 'applied' || inject === null) return
    const admin = system.control.makerOf(target.placement.cluster).admin(target.placement.database)
    await admin.unsafe(inject.replaceAll('room.', `"${target.placement.schema}".`).replaceAll('$T', move.tenantId))
  })
  await fillOdd((await system.openTenants('us')).session('acme'))
})
afterAll(() => system?.close())

test.each([
  ['a lost row', `delete from room.odd where id = 0`, /odd \(0\) is missing/],
  ['a NULL for an empty text', `update room.odd set word = null where word = ''`, /odd \(\d+\) is another/],
  ['a rounded numeric', `update room.odd set amount = 1.1 where amount = 1.10`, /odd \(\d+\) is another/],
  [
    'a shifted timestamp',
    `update room.odd set at = at + interval '1 us' where at < '2000-01-01'`,
    /odd \(\d+\) is another/,
  ],
  ['an extra row', `insert into room.only_key values ('$T', 'extra')`, /only_key \(extra\) is too many/],
  [
    'a changed element of an array',
    `update room.odd set moods = '{calm,cross}' where cardinality(moods) = 3`,
    /is another/,
  ],
])('%s at the target is found, and the tenant stays where it was', async (_name, sql, named) => {
  const { moves } = system.control
  const session = (await system.openTenants('us')).session('acme')
  const before = await dump(session)
  const placement = (await system.control.tenant('acme')).placement
  inject = sql
  const { id } = await moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
  const move = await moves.reached(id, 'watching')
  inject = null
  expect(move.state).toBe('aborted')
  expect(move.reason).toMatch(named)
  expect((await system.control.tenant('acme')).placement).toEqual(placement)
  expect(await dump(session)).toEqual(before)
  await expectNothingLeft(system, move.to.placement, move.tenantId)
})
