import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectNothingLeft } from '../move/support/left.ts'
import { dump, fillOdd, ODD_MIGRATIONS, runIn } from '../move/support/odd-rows.ts'
import { oddWalk } from '../move/support/odd-walk.ts'
import { shapeOf } from '../move/support/shape.ts'
import { startTwoClusters, TIER_OF } from '../move/support/two-clusters.ts'
import type { TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  const tenants = [
    { slug: 'acme', tier: 'pro', region: 'us' },
    { slug: 'odd', tier: 'pro', region: 'us' },
    { slug: 'other', tier: 'free', region: 'us' },
    { slug: 'schema', tier: 'pro', region: 'us' },
    { slug: 'database', tier: 'enterprise', region: 'us' },
  ] as const
  system = await startTwoClusters(tenants, { migrationsFolder: ODD_MIGRATIONS, adminRole: 'managed' })
  system.control.moves.run()
}, 120_000)
afterAll(() => system?.close())

const roomOf = async (slug: string) => {
  const { placement } = await system.control.tenant(slug)
  return shapeOf(system.control.makerOf(placement!.cluster).admin(placement!.database), placement!.schema)
}

test('a role that is no superuser and may silence nothing moves a tenant between rooms of its own, and back', async () => {
  const [role] = await system.control.makerOf('us-1').admin('postgres')`
    select rolsuper, has_parameter_privilege(current_user, 'session_replication_role', 'SET') as may from pg_roles where rolname = current_user`
  expect(role).toEqual({ rolsuper: false, may: false })
  const { moves } = system.control
  const session = (await system.openTenants('us')).session('acme')
  const run = runIn(session)
  await fillOdd(session)
  for (const isolation of ['database', 'schema'] as const) {
    const before = await dump(session)
    const { id } = await moves.start({ tenant: 'acme', tier: TIER_OF[isolation], by: 'test' })
    const move = await moves.reached(id, 'watching')
    expect(move).toMatchObject({ state: 'watching', reason: null })
    expect(await dump(session)).toEqual(before)
    // A cascade and a swapped unique key flow back into the old room, in which nothing acts on them.
    await run(`delete from "{room}".nodes where area = 'z' and number = 2`)
    await run(`insert into "{room}".nodes (area, number, rank) values ('z', 2, 5)`)
    await run(`update "{room}".nodes set rank = -rank where rank in (1, 2)`)
    await run(`update "{room}".nodes set rank = case rank when -1 then 2 else 1 end where rank < 0`)
    const after = await dump(session)
    await moves.rollback(id)
    expect(await moves.reached(id, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
    expect(await dump(session)).toEqual(after)
    await expectNothingLeft(system, move.to.placement, move.tenantId)
    const again = await moves.start({ tenant: 'acme', tier: TIER_OF[isolation], by: 'test' })
    await moves.reached(again.id, 'watching')
    await moves.complete(again.id)
    expect(await moves.reached(again.id, 'completed')).toMatchObject({ state: 'completed' })
    expect(await roomOf('acme')).toEqual(await roomOf(isolation))
    await expectNothingLeft(system, again.from.placement, again.tenantId)
  }
}, 120_000)

test(
  'such a role moves rows of every odd kind into the pool and out of it again, with its foreign keys and triggers in force',
  () => oddWalk(system, 'odd'),
  180_000,
)

test('what foreign keys do in the pool while a move’s rows come in is put right: exchanged keys, cascades, rows that others point at', async () => {
  const { moves } = system.control
  const session = (await system.openTenants('us')).session('other')
  const run = runIn(session)
  await run(`insert into "{room}".nodes (area, number, rank) values ('P', 1, 101), ('Q', 1, 102), ('R', 1, 103)`)
  // Rows that nothing will be noted of, at the far end of every kind of reference.
  await run(
    `insert into "{room}".nodes (area, number, rank, up_area, up_number) values ('p', 1, 111, 'P', 1), ('p', 2, 112, 'p', 1)`,
  )
  await run(`insert into "{room}".leaves (area, number) values ('P', 1), ('Q', 1), ('p', 2), ('R', 1)`)
  await run(`update "{room}".nodes set leaf_id = (select id from "{room}".leaves where area = 'Q') where area = 'p'`)
  const changes: [string, readonly string[]][] = [
    [
      'unique keys are exchanged',
      [`rank = -rank where rank in (101, 102)`, `rank = case rank when -101 then 102 else 101 end where rank < 0`],
    ],
    ['a key is changed, and cascades', [`number = number + 10 where area = 'P'`]],
    [
      'the same, and unique keys exchanged',
      [
        `number = 5 where area = 'P'`,
        `rank = -rank where rank in (101, 102)`,
        `rank = case rank when -101 then 102 else 101 end where rank < 0`,
      ],
    ],
    ['a row that others point at is changed', [`rank = 1000 + rank where area = 'R'`]],
  ]
  for (const [what, statements] of changes) {
    const { id } = await moves.start({ tenant: 'other', tier: 'pro', by: 'test' })
    expect(await moves.reached(id, 'watching')).toMatchObject({ state: 'watching', reason: null })
    // In one transaction, so that one pass has it all.
    await session.transaction(async (tx) => {
      for (const statement of statements)
        await tx.execute({ text: `update "{room}".nodes set ${statement}`, params: [] })
    })
    const after = await dump(session)
    await moves.rollback(id)
    const end = await moves.reached(id, 'rolled_back')
    expect([what, end.state, end.reason]).toEqual([what, 'rolled_back', null])
    expect([what, ...(await dump(session))]).toEqual([what, ...after])
  }
  const { id } = await moves.start({ tenant: 'other', tier: 'pro', by: 'test' })
  await moves.reached(id, 'watching')
  await run(`delete from "{room}".nodes where area = 'P'`)
  const after = await dump(session)
  await moves.rollback(id)
  expect(await moves.reached(id, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
  expect(await dump(session)).toEqual(after)
}, 120_000)
