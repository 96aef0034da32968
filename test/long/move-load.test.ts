import { afterAll, beforeAll, expect, test } from 'vitest'
import { migrateRoom } from '../../tiers/migrate/migrate-room.ts'
import type { MoveContext } from '../../tiers/move/context.ts'
import type { Placement } from '../../tiers/types.ts'
import { dump, fillOdd, ODD_MIGRATIONS, runIn } from '../move/support/odd-rows.ts'
import { shapeOf } from '../move/support/shape.ts'
import { QUICK, startTwoClusters, TIER_OF } from '../move/support/two-clusters.ts'
import type { TestSystem } from '../support/system.ts'

/** Three blocks: many chunks of few rows. */
const CHUNK_BYTES = 3 * 8192
/** Few rows may be compared in the pause. */
const DIRTY_MAX = 5

let system: TestSystem
beforeAll(async () => {
  const tenants = [
    { slug: 'acme', tier: 'free', region: 'us' },
    { slug: 'pro', tier: 'pro', region: 'us' },
    { slug: 'enterprise', tier: 'enterprise', region: 'us' },
  ] as const
  system = await startTwoClusters(tenants, {
    migrationsFolder: ODD_MIGRATIONS,
    moveSettings: { ...QUICK, chunkBytes: CHUNK_BYTES, dirtyMax: DIRTY_MAX, lagMax: DIRTY_MAX },
  })
})
afterAll(() => system?.close())

/** Moves the tenant and does something once, when the move comes to the point for the nth time. */
async function moveWith(
  isolation: Placement['isolation'],
  at: string,
  work: (ctx: MoveContext) => Promise<unknown>,
  nth = 1,
) {
  const { moves } = system.control
  let met = 0
  const failed: unknown[] = []
  const runner = moves.run(async (point, ctx) => {
    if (point !== at || ++met !== nth) return
    await work(ctx).catch((error) => failed.push(error))
  })
  try {
    const here = (await system.control.tenant('acme')).placement!
    const cluster = here.cluster === 'us-1' ? 'us-2' : 'us-1'
    const { id } = await moves.start({ tenant: 'acme', tier: TIER_OF[isolation], cluster, by: 'test' })
    const move = await moves.reached(id, 'watching')
    expect(failed).toEqual([])
    expect(met).toBeGreaterThanOrEqual(nth)
    expect(move).toMatchObject({ state: 'watching', reason: null })
    await moves.complete(id)
    // Nothing was left over that a second look had to find.
    const reasons = new Set<string | null>()
    for await (const { reason } of moves.events(id)) reasons.add(reason)
    expect([...reasons]).toEqual([null])
    return move.to.placement
  } finally {
    await runner.close()
  }
}

const room = async (slug: string) => {
  const { placement } = await system.control.tenant(slug)
  return shapeOf(system.control.makerOf(placement!.cluster).admin(placement!.database), placement!.schema)
}

test.each([
  ['schema', 'pro'],
  ['database', 'enterprise'],
] as const)(
  'a room of kind %s that a move has loaded has every key, index, reference, trigger and policy of one that was made whole',
  async (isolation, whole) => {
    await moveWith(isolation, 'bare', async ({ target }) => {
      // Bare indeed: else nothing is shown.
      const client = await target.client()
      const [found] = await client.query<{ n: number }>(
        `select count(*)::int as n from pg_index where indrelid = $1::regclass`,
        [target.table('nodes')],
      )
      expect(found!.n).toBe(0)
    })
    expect(await room('acme')).toEqual(await room(whole))
  },
)

test('a room that is being loaded takes no migration, and tenants see nothing of it', async () => {
  await moveWith('schema', 'loaded', async ({ target, makerOf }) => {
    const { database, schema, cluster } = target.placement
    const admin = makerOf(cluster).admin(database)
    const text = `CREATE TABLE "{room}".later (tenant_id uuid NOT NULL PRIMARY KEY)`
    const files = [{ name: '9999_later.sql', text, checksum: 'x' }]
    await expect(migrateRoom(admin, schema, { files, references: [], app: 'innkeeper_app' })).rejects.toMatchObject({
      code: 'conflict',
    })
    const [table] =
      await admin`select relrowsecurity as on from pg_class where oid = ${target.table('nodes')}::regclass`
    expect(table).toEqual({ on: true })
  })
})

test('rows that move while the table is read are there once, as they became', async () => {
  const tenants = await system.openTenants('us')
  const session = tenants.session('acme')
  const run = runIn(session)
  await fillOdd(session)
  await run(`insert into "{room}".nodes (area, number, rank) select 'row', n, 1000 + n from generate_series(1, 3000) n`)
  for (const [round, isolation] of (['database', 'schema', 'database', 'shared'] as const).entries()) {
    // In the middle of the table, others in each round: those of the last one lie at its end now.
    await moveWith(
      isolation,
      'chunk',
      async () => {
        await run(`update "{room}".nodes set rank = -rank where area = 'row' and number % 3 = ${round % 3}`)
        await run(`delete from "{room}".nodes where area = 'row' and number % 7 = ${round}`)
        await run(
          `insert into "{room}".nodes (area, number, rank) select 'row', n, 9000 + n from generate_series(1, 3000) n where n % 7 = ${round}`,
        )
        await run(`update "{room}".nodes set rank = 50000 + rank where area = 'row' and number % 5 = ${round}`)
      },
      12,
    )
    const [row] = await run(
      `select count(*)::int as n, count(distinct number)::int as numbers from "{room}".nodes where area = 'row'`,
    )
    expect(row).toEqual({ n: 3000, numbers: 3000 })
  }
  expect(await dump(session)).toContainEqual(expect.stringContaining('nodes'))
})

test('a table that is rewritten while it is copied is copied again', async () => {
  const run = runIn((await system.openTenants('us')).session('acme'))
  await run(
    `insert into "{room}".nodes (area, number, rank) select 'more', n, 100000 + n from generate_series(1, 3000) n`,
  )
  await moveWith('schema', 'bare', async () => {})
  const rewrites: string[] = []
  await moveWith(
    'database',
    'chunk',
    async ({ source }) => {
      // So that rows which are still to be read come to lie where the reader has been.
      await run(`delete from "{room}".nodes where area = 'more' and number < 1500`)
      const client = await source.another()
      await client.script(`vacuum full ${source.table('nodes')}`)
      await client.close()
      rewrites.push(source.table('nodes'))
    },
    12,
  )
  expect(rewrites).toHaveLength(1)
})

test('more rows than may be compared in the pause may change during the verification, however often', async () => {
  const run = runIn((await system.openTenants('us')).session('acme'))
  const change = () => run(`update "{room}".nodes set rank = rank + 1000000 where area = 'more' and number % 10 = 0`)
  const [row] = await run(`select count(*)::int as n from "{room}".nodes where area = 'more' and number % 10 = 0`)
  expect(row!.n).toBeGreaterThan(10 * DIRTY_MAX)
  for (const isolation of ['shared', 'database'] as const) await moveWith(isolation, 'applied', change)
})

test('a pool that others have left half empty is copied from in chunks that are no smaller', async () => {
  const { id, placement } = await system.control.tenant('acme')
  const here = placement!.isolation === 'shared' ? placement! : await moveWith('shared', 'bare', async () => {})
  const admin = system.control.makerOf(here.cluster).admin(here.database)
  const nodes = `"${here.schema}".nodes`
  await admin.unsafe(
    `insert into ${nodes} (tenant_id, area, number, rank)
     select gen_random_uuid(), repeat('left', 20), n, n from generate_series(1, 100000) n`,
  )
  await admin.unsafe(`delete from ${nodes} where tenant_id <> '${id}'`)
  await admin.unsafe(`vacuum analyze ${nodes}`)
  let chunks = 0
  const runner = system.control.moves.run((point) => {
    if (point === 'chunk') chunks++
  })
  try {
    const { rows } = (await admin.unsafe<{ rows: number }[]>(`select count(*)::int as rows from ${nodes}`))[0]!
    const move = await system.control.moves.start({ tenant: 'acme', tier: TIER_OF.schema, by: 'test' })
    await system.control.moves.reached(move.id, 'watching')
    expect(rows).toBeGreaterThan(1_000)
    // Some hundred rows fit into a chunk; where the empty space counted it was a few.
    expect(chunks).toBeLessThan(rows / 50)
  } finally {
    await runner.close()
  }
})
