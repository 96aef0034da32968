import { afterAll, beforeAll, expect, test } from 'vitest'
import * as schema from '../../config/schema.ts'
import type { MoveContext } from '../../tiers/move/context.ts'
import { startTwoClusters } from '../move/support/two-clusters.ts'
import type { TestSystem } from '../support/system.ts'

let system: TestSystem
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], {
    moveSettings: { deadlineMs: 30_000 },
  })
})
afterAll(() => system?.close())

/** From now on the target takes no row of the tag as it is: only who compares what was brought finds out. */
async function spoil({ target }: MoveContext, name: string): Promise<void> {
  const admin = system.control.makerOf(target.placement.cluster).admin(target.placement.database)
  await admin.unsafe(`
    create or replace function public.spoil() returns trigger language plpgsql as
      $$ begin if new.name = '${name}' then new.color := 'spoilt'; end if; return new; end $$;
    create trigger spoil before insert on ${target.table('tags')} for each row execute function public.spoil();
    alter table ${target.table('tags')} enable always trigger spoil`)
}

const ATTEMPTS: readonly [name: string, fail: (ctx: MoveContext) => Promise<void>][] = [
  ['at the first attempt', async () => {}],
  [
    'when the attempt before failed and its connections are gone',
    async () => {
      throw new Error('the connection was lost')
    },
  ],
  ['when the connections are others within one attempt', ({ target }) => target.close()],
]

const insert = async (name: string) => {
  const acme = (await system.openTenants('us')).for('acme')
  await acme.insert(schema.tags).values({ name })
}

/** Moves the tenant, and does something once when the move comes to the point. */
async function outcomeOf(at: string, work: (ctx: MoveContext) => Promise<void>) {
  const { moves } = system.control
  let isBegun = false
  const runner = moves.run(async (point, ctx) => {
    if (point !== at || isBegun) return
    isBegun = true
    await work(ctx)
  })
  const { id } = await moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
  const { state, reason } = await moves.reached(id, 'watching')
  await runner.close()
  return { state, reason }
}

const DIFFERS = { state: 'aborted', reason: expect.stringMatching(/differs from the source: tags/) }

test('what changed during the verification is compared before the flip', async () => {
  const outcome = await outcomeOf('applied', async (ctx) => {
    await spoil(ctx, 'during')
    await insert('during')
  })
  expect(outcome).toEqual(DIFFERS)
})

test.each(ATTEMPTS)('what changed after the verification is compared before the flip, %s', async (name, fail) => {
  const outcome = await outcomeOf('before_fence', async (ctx) => {
    await spoil(ctx, name)
    await insert(name)
    await fail(ctx)
  })
  expect(outcome).toEqual(DIFFERS)
})

test('what changed under the last requests is compared before the flip', async () => {
  const outcome = await outcomeOf('before_fence', async (ctx) => {
    await spoil(ctx, 'late')
    const session = (await system.openTenants('us')).session('acme')
    const inserted = Promise.withResolvers<void>()
    // Committed when the pass before the fence is over, and before the fence.
    const late = session.transaction(async (tx) => {
      await tx.execute({ text: `insert into "{room}".tags (name) values ('late')`, params: [] })
      inserted.resolve()
      await new Promise((resolve) => setTimeout(resolve, 150))
    })
    late.catch(inserted.reject)
    await inserted.promise
  })
  expect(outcome).toEqual(DIFFERS)
})
