import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PostgresVersion } from '../../support/postgres.ts'
import type { TestSystem } from '../../support/system.ts'
import { dump, fillOdd, ODD_MIGRATIONS, runIn } from './odd-rows.ts'
import { startTwoClusters, TIER_OF } from './two-clusters.ts'

export function testOddWalk(version: PostgresVersion): void {
  let system: TestSystem
  beforeAll(async () => {
    const tenants = [
      { slug: 'acme', tier: 'pro', region: 'us' },
      { slug: 'other', tier: 'free', region: 'us' },
    ] as const
    system = await startTwoClusters(tenants, { migrationsFolder: ODD_MIGRATIONS, version })
    system.control.moves.run()
  })
  afterAll(() => system?.close())

  test(
    `on PostgreSQL ${version} every odd type, key, reference and circle arrives as it was, and ids continue without a collision`,
    () => oddWalk(system),
    90_000,
  )
}

/** Moves rows of every odd kind through all isolation models and back, and compares what the tenant sees each time. */
export async function oddWalk(system: TestSystem, slug = 'acme'): Promise<void> {
  const { moves } = system.control
  const tenants = await system.openTenants('us')
  const session = tenants.session(slug)
  const run = runIn(session)
  await fillOdd(session)
  // The pool's own numbers are ahead of the tenant's in one table and behind in the other.
  const other = runIn(tenants.session('other'))
  for (let i = 0; i < 30; i++) await other(`insert into "{room}".odd (word) values ('x')`)
  for (const isolation of ['shared', 'database', 'shared', 'schema'] as const) {
    const before = await dump(session)
    const { id } = await moves.start({ tenant: slug, tier: TIER_OF[isolation], by: 'test' })
    const move = await moves.reached(id, 'watching')
    expect(move.reason).toBeNull()
    expect(await dump(session)).toEqual(before)
    for (const table of ['odd', 'leaves']) {
      const highest = Number((await run(`select max(id) as id from "{room}".${table}`))[0]!.id)
      const columns = table === 'odd' ? `(word) values ('after')` : `(area, number) values ('Z', 1)`
      const [made] = await run(`insert into "{room}".${table} ${columns} returning id`)
      expect(Number(made!.id)).toBeGreaterThan(highest)
    }
    // A cascade and a swapped unique key at the new home flow back over the reverse stream.
    await run(`delete from "{room}".nodes where area = 'z' and number = 2`)
    await run(`insert into "{room}".nodes (area, number, rank) values ('z', 2, 5)`)
  }
  await run(`update "{room}".nodes set rank = -rank where rank in (1, 2)`)
  await run(`update "{room}".nodes set rank = case rank when -1 then 2 else 1 end where rank < 0`)
  const [last] = await moves.list({ limit: 1 })
  const before = await dump(session)
  await moves.rollback(last!.id)
  expect(await moves.reached(last!.id, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
  expect(await dump(session)).toEqual(before)
}
