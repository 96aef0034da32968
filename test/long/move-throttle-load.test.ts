import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MoveContext } from '../../tiers/move/context.ts'
import { startTwoClusters } from '../move/support/two-clusters.ts'
import { BUSY } from '../support/busy.ts'
import type { TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'

const ROWS = 60_000

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], {
    moveSettings: { unpacedMs: 0, watchPassMs: 200 },
    settings: { fsync: 'on', synchronous_commit: 'on', commit_siblings: 0 },
  })
  const session = (await system.openTenants('us')).session('acme')
  await session.execute({
    text: `insert into "{room}".tags (name, color) select 'tag ' || i, repeat('x', 20) from generate_series(1, ${ROWS}) i`,
    params: [],
  })
})
afterAll(() => system?.close())

/** Somebody on the server of cluster us-1. @returns ends it */
type Neighbour = (sql: Sql) => Promise<() => Promise<void>>

/** Several who do something again and again. @returns ends that */
function again(times: number, work: () => Promise<unknown>): () => Promise<unknown> {
  let stopped = false
  const all = Array.from({ length: times }, async () => {
    while (!stopped) await work()
  })
  return () => {
    stopped = true
    return Promise.all(all)
  }
}

/** Who writes as much as it takes, on a disk that has become slow: each commit waits for it, whoever else uses the machine. */
const withSlowDisk: Neighbour = async (sql) => {
  const disk = async (delayUs: number) => {
    await sql.unsafe(`alter system set commit_delay = ${delayUs}`)
    await sql`select pg_reload_conf()`
  }
  await sql`create table noise (id bigint generated always as identity primary key, text text)`
  const stop = again(2, () => sql`insert into noise (text) select md5(i::text) from generate_series(1, 5000) i`)
  await disk(100_000)
  return async () => {
    await disk(0)
    await stop()
  }
}

/** Many whose statements take long for no reason that a measurement would feel, as where everybody lacks processors. */
const withLongStatements: Neighbour = async (sql) => {
  const stop = again(8, () => sql`select pg_sleep(0.2)`)
  return async () => void (await stop())
}

test.each([
  { what: 'wait for the disk', neighbour: withSlowDisk, to: { tier: 'pro', cluster: 'us-2' } },
  { what: 'wait for what is not measured', neighbour: withLongStatements, to: { tier: 'free', cluster: 'us-1' } },
])(
  'a copy is held back while its neighbours $what, says so, and goes on at its speed when they do not',
  async (given) => {
    const { moves } = system.control
    const HUNG_MS = 30_000 * BUSY
    let chunks = 0
    const held: number[] = []
    const runner = moves.run(async (point, { pacer, move }: MoveContext) => {
      if (point !== 'chunk' || ++chunks < 3 || held.length > 0) return
      held.push(pacer.heldBack())
      const sql = postgres(system.servers.get('us')!.server.url('postgres'), { max: 10, onnotice: () => {} })
      const stop = await given.neighbour(sql)
      await waitUntil('the copy to be held back', () => pacer.heldBack() > 0.8, HUNG_MS)
      held.push(pacer.heldBack())
      // The next chunk is done under the load, and the move's row says it.
      await pacer.paced(async (part) => held.push(part))
      await stop()
      await sql.end()
      const most = pacer.heldBack()
      // By how much at once depends on who else uses the machine.
      await waitUntil('the copy to be let go', () => pacer.heldBack() < most, HUNG_MS)
      held.push(pacer.heldBack())
      expect(move.state).toBe('copying')
    })
    const { id } = await moves.start({ tenant: 'acme', by: 'test', ...given.to })
    const said: number[] = []
    for await (const move of moves.events(id)) {
      said.push(move.progress.throttled)
      if (move.state === 'watching' || move.endedAt !== null) break
    }
    expect(held).toHaveLength(4)
    const [, under, part] = held as [number, number, number, number]
    expect(under).toBeGreaterThan(0.8)
    expect(part).toBeLessThan(0.5)
    expect(Math.max(...said)).toBeGreaterThan(0)
    const expected = { state: 'watching', progress: { rows: ROWS, throttled: 0 }, certificate: { rows: ROWS } }
    expect(await moves.get(id)).toMatchObject(expected)
    await runner.close()
  },
  600_000,
)

test('a difference is found in whichever piece of a table it is', async () => {
  const { moves } = system.control
  const runner = moves.run(async (point, { target }) => {
    if (point !== 'applied') return
    const tags = system.control.makerOf(target.placement.cluster).admin(target.placement.database)
    await tags.unsafe(`update ${target.table('tags')} set color = 'y' where name = 'tag ${ROWS}'`)
  })
  const { id } = await moves.start({ tenant: 'acme', tier: 'enterprise', by: 'test' })
  const { state, reason } = await moves.reached(id, 'watching')
  expect({ state, reason }).toMatchObject({
    state: 'aborted',
    reason: expect.stringMatching(/tags \(\d+\) is another/),
  })
  await runner.close()
})
