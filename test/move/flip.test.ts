import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MoveContext } from '../../tiers/move/context.ts'
import { type Flip, flip, rehearse } from '../../tiers/move/flip.ts'
import type { MoveState } from '../../tiers/move/states.ts'
import { Overtaken } from '../../tiers/move/store.ts'
import type { TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'
import { startTwoClusters } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], {
    moveSettings: { deadlineMs: 30_000 },
  })
})
afterAll(() => system?.close())

/** What a flip does that was sent, whose answer was lost, and that is still on its way when the next attempt has begun. */
async function flipOfAnEarlierAttempt({ sql, flips, lease, move }: MoveContext): Promise<unknown> {
  const [row] = await sql<{ epoch: number }[]>`
    select (destination->'placement'->>'epoch')::float8 as epoch from moves where id = ${move.id}`
  const { epoch } = row!
  const write = (to: number) => sql`
    update moves set destination = jsonb_set(destination, '{placement,epoch}', to_jsonb(${to}::bigint)) where id = ${move.id}`
  await write(epoch + 1)
  const home = { ...move.to, placement: { ...move.to.placement, epoch } }
  const outcome = await flip({ sql, flips }, lease, {
    from: 'cutting_over',
    to: 'watching',
    pauseMs: 0,
    home,
    end: 'destination',
  }).catch((error: unknown) => error)
  await write(epoch)
  return outcome
}

test('a flip that was sent by an earlier attempt of the same mover changes nothing', async () => {
  const { moves } = system.control
  let outcome: unknown = 'not tried'
  const runner = moves.run(async (point, ctx) => {
    if (point === 'opened' && outcome === 'not tried') outcome = await flipOfAnEarlierAttempt(ctx)
  })
  const { id } = await moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
  const { to } = await moves.reached(id, 'watching')
  expect(outcome).toBeInstanceOf(Overtaken)
  expect((await system.control.tenant('acme')).placement).toEqual(to.placement)
  await runner.close()
})

test('a rehearsal changes nothing and tells nobody, and one that is overtaken says so', async () => {
  const { moves } = system.control
  const heard: number[] = []
  const control = postgres(system.env.INNKEEPER_CONTROL_URL!, { max: 2, onnotice: () => {} })
  const { unlisten } = await control.listen('innkeeper_directory', (seq) => heard.push(Number(seq)))
  const state = async () => {
    const [row] = await control`
      select (select max(seq) from changes) as seq, (select to_jsonb(m) - 'updated_at' - 'lease_until' from moves m where ended_at is null) as move,
        (select jsonb_agg(p) from placements p) as placements, (select jsonb_agg(t) from tenants t) as tenants,
        (select count(*) from placement_history) as history`
    return row
  }
  let outcomes: unknown[] = []
  const seen: unknown[] = []
  const [stands, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  /** Stands still between the rehearsal and its end. */
  const still = (flips: postgres.Sql) => {
    const begin = (work: (tx: postgres.TransactionSql) => Promise<unknown>) =>
      flips.begin((tx) =>
        work(tx).catch(async (error) => {
          stands.resolve()
          await goOn.promise
          throw error
        }),
      )
    return { begin } as unknown as postgres.Sql
  }
  const runner = moves.run(async (point, { sql, flips, lease, move }) => {
    if (point !== 'before_fence' || outcomes.length > 0) return
    const [row] = await sql<{ epoch: number }[]>`
      select (destination->'placement'->>'epoch')::float8 as epoch from moves where id = ${move.id}`
    const change = (from: MoveState): Flip => ({
      from,
      to: 'watching',
      pauseMs: 0,
      end: 'destination',
      home: { ...move.to, placement: { ...move.to.placement, epoch: row!.epoch } },
    })
    heard.length = 0
    seen.push(await state())
    outcomes = [
      await rehearse(flips, lease, change('cutting_over')),
      await rehearse(flips, lease, change('copying')).catch((error: unknown) => error),
    ]
    seen.push(await state())
    await control`select pg_notify('innkeeper_directory', '0')`
    await waitUntil('a later word to be heard', () => heard.includes(0))
    seen.push([...heard])
    // Who stands still in the middle of it keeps nobody from the directory for long.
    const rehearsing = rehearse(still(flips), lease, change('cutting_over'))
    await stands.promise
    await control`update tenants set updated_at = now() where id = ${move.tenantId}`
    goOn.resolve()
    outcomes.push(await rehearsing)
  })
  const { id } = await moves.start({ tenant: 'acme', tier: 'enterprise', by: 'test' })
  await moves.reached(id, 'watching')
  expect(outcomes).toEqual([undefined, expect.any(Overtaken), undefined])
  expect(seen[1]).toEqual(seen[0])
  expect(seen[2]).toEqual([0])
  await unlisten()
  await control.end()
  await runner.close()
})
