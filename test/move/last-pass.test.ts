import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MoveContext } from '../../tiers/move/context.ts'
import { fenceAndRead } from '../../tiers/move/last-pass.ts'
import type { Move } from '../../tiers/move/types.ts'
import type { RoomTransaction } from '../../tiers/room/session.ts'
import { BUSY } from '../support/busy.ts'
import type { TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'
import { dump, fillOdd, ODD_MIGRATIONS, runIn } from './support/odd-rows.ts'
import { QUICK, startTwoClusters, TIER_OF } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], {
    migrationsFolder: ODD_MIGRATIONS,
    moveSettings: { ...QUICK, deadlineMs: 1_000 * BUSY, drainMs: 600 * BUSY },
  })
  await fillOdd((await system.openTenants('us')).session('acme'))
})
afterAll(() => system?.close())

/** A mover waits for the transactions in acme's room to end: the tenant is about to be fenced. */
async function fenceWaits(): Promise<void> {
  const { cluster, database } = (await system.control.tenant('acme')).placement!
  const admin = system.control.makerOf(cluster).admin(database)
  await waitUntil('a fence that waits', async () => {
    const waiting =
      await admin`select from pg_locks where locktype = 'advisory' and classid = 1229868619 and not granted
      and database = (select oid from pg_database where datname = current_database())`
    return waiting.length > 0
  })
}

/**
 * Moves the tenant while a transaction of its own is open at the fence: what that has done the last pass brings, and none
 * before it. The last pass is looked at, just before the cut-over would make it.
 */
async function moveDuring(
  isolation: keyof typeof TIER_OF,
  change: (tx: RoomTransaction) => Promise<unknown>,
  atFence?: (ctx: MoveContext) => Promise<void>,
): Promise<{ move: Move; compared: number | null | undefined }> {
  const { moves } = system.control
  const session = (await system.openTenants('us')).session('acme')
  let late: Promise<unknown> | null = null
  let compared: number | null | undefined
  const runner = moves.run(async (point, ctx) => {
    if (point !== 'before_fence' || late !== null) return
    const isDone = Promise.withResolvers<void>()
    late = session.transaction(async (tx) => {
      await change(tx)
      isDone.resolve()
      await fenceWaits()
    })
    late.catch(isDone.reject)
    await isDone.promise
    await atFence?.(ctx)
    const tables = await ctx.tables()
    const fence = { change: { state: 'fenced', capture: false }, boundMs: 1_000 * BUSY } as const
    // Some as the pass before has found them, some that it has not.
    const before = { tables: tables.filter((_, i) => i % 2 === 0).map((t) => t.name), sequences: new Map() }
    const last = await fenceAndRead(ctx, fence, tables, await ctx.sequences(), before)
    compared = last === null ? null : await last.bring('')
    await last?.forget()
  })
  try {
    const here = (await system.control.tenant('acme')).placement!
    const cluster = here.cluster === 'us-1' ? 'us-2' : 'us-1'
    const { id } = await moves.start({ tenant: 'acme', tier: TIER_OF[isolation], cluster, by: 'test' })
    let move = await moves.reached(id, 'watching')
    await late
    if (move.state === 'watching') {
      await moves.complete(id)
      move = await moves.reached(id, 'completed')
    }
    return { move, compared }
  } finally {
    await runner.close()
  }
}

const seen = async () => dump((await system.openTenants('us')).session('acme'))

test.each(['schema', 'shared', 'database', 'shared'] as const)(
  'rows of every kind that changed at the last moment are the same in their new room: %s',
  async (isolation) => {
    let before: string[] = []
    const { move, compared } = await moveDuring(isolation, async (tx) => {
      const run = runIn(tx)
      // One row is too large for it.
      await run(`update "{room}".odd set word = word where coalesce(length(word), 0) < 1000`)
      await run(`update "{room}".nodes set rank = rank`)
      await run(`update "{room}".leaves set area = area`)
      await run(`update "{room}".settings set theme = theme`)
      await run(`update "{room}".only_key set name = name`)
      before = await dump(tx)
    })
    expect(move).toMatchObject({ state: 'completed', reason: null })
    expect(compared).toBe(before.length - 1)
    expect(await seen()).toEqual(before)
  },
)

/** A transaction of the tenant's that is open at the fence and then commits: once for a move, where the hook says `before_fence`. */
async function writeAtFence(word: string): Promise<{ ended: Promise<unknown> }> {
  const session = (await system.openTenants('us')).session('acme')
  // The pass before knows the table by it.
  await runIn(session)(`insert into "{room}".odd (word) values ('before the fence')`)
  const isDone = Promise.withResolvers<void>()
  const late = session.transaction(async (tx) => {
    await runIn(tx)(`insert into "{room}".odd (word) values ('${word}')`)
    isDone.resolve()
    await fenceWaits()
  })
  late.catch(isDone.reject)
  await isDone.promise
  return { ended: late }
}

/** What is sent to both ends from now on, as long as the connections are these. */
async function watchEnds({ source, target }: MoveContext): Promise<{ end: string; text: string }[]> {
  const sent: { end: string; text: string }[] = []
  for (const [end, side] of Object.entries({ source, target })) {
    const { raw } = await side.client()
    const query = raw.query.bind(raw) as (...args: unknown[]) => unknown
    raw.query = ((first: string | { text?: string }, ...rest: unknown[]) => {
      sent.push({ end, text: typeof first === 'string' ? first : (first.text ?? 'copy') })
      return query(first, ...rest)
    }) as typeof raw.query
  }
  return sent
}

test('the tenant waits for two messages to the ends, one after the other, and the flip', async () => {
  const { moves } = system.control
  let sent: { end: string; text: string }[] = []
  let ended: Promise<unknown> | null = null
  const runner = moves.run(async (point, ctx) => {
    if (point !== 'before_fence') return
    sent = await watchEnds(ctx)
    ended = (await writeAtFence('at the fence')).ended
  })
  try {
    const { id } = await moves.start({ tenant: 'acme', tier: TIER_OF.database, by: 'test' })
    await moves.reached(id, 'watching')
    await ended
    const pause = sent.slice(sent.findIndex(({ text }) => text.includes('set_fence')))
    // The room is opened behind what is brought. Beside the flip the source forgets it.
    const said = (text: string) => /set_fence|insert into tenancy.fence|delete from tenancy.notes/.exec(text)?.[0]
    expect(pause.map(({ end, text }) => `${end}: ${said(text)}`)).toEqual([
      'source: set_fence',
      'target: insert into tenancy.fence',
      'source: delete from tenancy.notes',
    ])
    await moves.complete(id)
    const { state, attempts, certificate } = await moves.reached(id, 'completed')
    expect({ state, attempts, certificate }).toMatchObject({
      state: 'completed',
      attempts: 1,
      certificate: { comparedUnderFence: 1 },
    })
  } finally {
    await runner.close()
  }
})

test('a row that was removed is gone, one that came is there, and ids go on after it', async () => {
  const session = (await system.openTenants('us')).session('acme')
  const run = runIn(session)
  const { move } = await moveDuring('schema', async (tx) => {
    await runIn(tx)(`delete from "{room}".nodes where area = 'z' and number = 2`)
    await runIn(tx)(`insert into "{room}".odd (word) values ('late')`)
  })
  expect(move).toMatchObject({ state: 'completed', reason: null })
  expect(await run(`select from "{room}".nodes where area = 'z' and number = 2`)).toEqual([])
  const [late] = await run(`select id from "{room}".odd where word = 'late'`)
  const [next] = await run(`insert into "{room}".odd (word) values ('next') returning id`)
  expect(Number(next!.id)).toBeGreaterThan(Number(late!.id))
})

test.each([
  ['too many', `insert into "{room}".odd (word) select 'many' from generate_series(1, 300)`],
  ['too large', `insert into "{room}".odd (word) select string_agg(md5(n::text), '') from generate_series(1, 3000) n`],
])('rows that are %s for it come as in any other pass', async (_, statement) => {
  const counted = async () => (await seen()).length
  const before = await counted()
  const { move, compared } = await moveDuring('database', (tx) => runIn(tx)(statement))
  expect(move).toMatchObject({ state: 'completed', reason: null })
  expect(compared).toBe(null)
  expect(await counted()).toBeGreaterThan(before)
})

const spoil = async ({ target }: MoveContext) => {
  const admin = system.control.makerOf(target.placement.cluster).admin(target.placement.database)
  await admin.unsafe(`
    create function ${target.placement.schema}.spoil() returns trigger language plpgsql as
      $$ begin new.word = 'spoilt'; return new; end $$;
    create trigger spoil before insert on ${target.table('odd')} for each row execute function ${target.placement.schema}.spoil();
    alter table ${target.table('odd')} enable always trigger spoil`)
}

test('what is another row in its new room than in the old one ends the move', async () => {
  const { move } = await moveDuring(
    'schema',
    (tx) => runIn(tx)(`insert into "{room}".odd (word) values ('honest')`),
    spoil,
  )
  expect(move).toMatchObject({
    state: 'aborted',
    reason: expect.stringMatching(/differs from the source: odd: changed/),
  })
  const run = runIn((await system.openTenants('us')).session('acme'))
  expect(await run(`select word from "{room}".odd where word in ('honest', 'spoilt')`)).toEqual([{ word: 'honest' }])
})

test('a room that was opened behind a row that differs is never flipped to, and is gone', async () => {
  const { moves } = system.control
  const session = (await system.openTenants('us')).session('acme')
  const run = runIn(session)
  const home = (await system.control.tenant('acme')).placement
  let ended: Promise<unknown> | null = null
  let there: { fences: unknown[] } | null = null
  const points: string[] = []
  const runner = moves.run(async (point, ctx) => {
    points.push(point)
    const { placement, tenant } = ctx.target
    const admin = system.control.makerOf(placement.cluster).admin(placement.database)
    if (point === 'before_fence') ended ??= (await writeAtFence('straight')).ended
    // The pass just before the fence has been and was equal.
    if (point === 'fenced') await spoil(ctx)
    if (point === 'state:aborting') {
      there = { fences: await admin.unsafe('select state from tenancy.fence where tenant_id = $1', [tenant]) }
    }
  })
  try {
    const { id } = await moves.start({ tenant: 'acme', tier: TIER_OF.schema, cluster: 'us-2', by: 'test' })
    const move = await moves.reached(id, 'completed')
    await ended
    expect(move).toMatchObject({
      state: 'aborted',
      reason: expect.stringMatching(/differs from the source: odd: changed/),
    })
    expect(points).not.toContain('opened')
    expect(there).toEqual({ fences: [{ state: 'open' }] })
    expect((await system.control.tenant('acme')).placement).toEqual(home)
    expect(await run(`select word from "{room}".odd where word in ('straight', 'spoilt')`)).toEqual([
      { word: 'straight' },
    ])
  } finally {
    await runner.close()
  }
})

test.each([
  ['rollback', 'rolled_back'],
  ['complete', 'completed'],
] as const)(
  'a source that cannot forget what was brought keeps nobody from the new room, and is left with nothing: %s',
  async (decision, end) => {
    const { moves } = system.control
    const run = runIn((await system.openTenants('us')).session('acme'))
    const word = `to be forgotten, then ${decision}`
    let ended: Promise<unknown> | null = null
    let left = 0
    const runner = moves.run(async (point, ctx) => {
      if (ctx.move.state !== 'cutting_over') return
      const { client, placement, tenant } = ctx.source
      const admin = system.control.makerOf(placement.cluster).admin(placement.database)
      if (point === 'before_fence') ended ??= (await writeAtFence(word)).ended
      if (point === 'opened') {
        const { processID } = (await client()).raw as unknown as { processID: number }
        await admin`select pg_terminate_backend(${processID})`
        await waitUntil(
          'its end',
          async () => (await admin`select from pg_stat_activity where pid = ${processID}`).length === 0,
        )
      }
      if (point === 'flipped') left = (await admin`select from tenancy.notes where tenant_id = ${tenant}`).length
    })
    try {
      const { id } = await moves.start({ tenant: 'acme', tier: TIER_OF.schema, cluster: 'us-1', by: 'test' })
      expect(await moves.reached(id, 'watching')).toMatchObject({ state: 'watching', attempts: 1 })
      await ended
      // The flip itself makes it watching; it is looked right after that.
      await expect.poll(() => left).toBeGreaterThan(0)
      expect(await run(`select word from "{room}".odd where word = '${word}'`)).toHaveLength(1)
      await moves[decision](id)
      // Which says that nothing was found when it was looked for, at home neither.
      await waitUntil('its end', async () => (await moves.get(id)).state === end)
      expect(await moves.certificate(id)).toBeDefined()
      expect(await run(`select word from "{room}".odd where word = '${word}'`)).toHaveLength(1)
    } finally {
      await runner.close()
    }
  },
)
