import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MoveContext } from '../../tiers/move/context.ts'
import { flip } from '../../tiers/move/flip.ts'
import { Overtaken } from '../../tiers/move/store.ts'
import type { TestSystem } from '../support/system.ts'
import { startTwoClusters } from './support/two-clusters.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], {
    moveSettings: { deadlineMs: 30_000 },
  })
})
afterAll(() => system?.close())

/** What a flip does that was sent, whose answer was lost, and that is still on its way when the next attempt has begun. */
async function flipOfAnEarlierAttempt({ sql, lease, move }: MoveContext): Promise<unknown> {
  const [row] = await sql<{ epoch: number }[]>`
    select (destination->'placement'->>'epoch')::float8 as epoch from moves where id = ${move.id}`
  const { epoch } = row!
  const write = (to: number) => sql`
    update moves set destination = jsonb_set(destination, '{placement,epoch}', to_jsonb(${to}::bigint)) where id = ${move.id}`
  await write(epoch + 1)
  const home = { ...move.to, placement: { ...move.to.placement, epoch } }
  const outcome = await flip(sql, lease, {
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
