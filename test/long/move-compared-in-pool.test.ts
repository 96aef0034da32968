import { afterAll, beforeAll, expect, test } from 'vitest'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { startTwoClusters } from '../move/support/two-clusters.ts'
import type { TestSystem } from '../support/system.ts'

/** Of a mover that may silence nothing: foreign keys act in the pool while its rows come in. */
let system: TestSystem
beforeAll(async () => {
  const moveSettings = { deadlineMs: 30_000 }
  system = await startTwoClusters([{ slug: 'hooli', tier: 'pro', region: 'us' }], {
    adminRole: 'managed',
    moveSettings,
  })
})
afterAll(() => system?.close())

test('a row that a foreign key has taken away and the mover brought again is compared before the flip', async () => {
  const { moves } = system.control
  const session = (await system.openTenants('us')).session('hooli')
  const run = async (text: string) => (await session.execute({ text, params: [] })).rows
  await run(`insert into customers (name, email) values ('c', 'c@example.com')`)
  await run(`insert into tickets (customer_id, subject, body) select id, 's', 'b' from customers`)
  await run(`insert into tags (name) values ('a'), ('b')`)
  await run(`insert into ticket_tags (ticket_id, tag_id) select t.id, g.id from tickets t, tags g`)
  let isChanged = false
  const runner = moves.run(async (point, { target }) => {
    if (point !== 'applied' || isChanged) return
    isChanged = true
    // From now on they do not come again.
    const { url } = system.servers.get('us')!.server
    await withAdmin(url(), target.placement.database, {}, (sql) =>
      sql.unsafe(`
        create function public.lose() returns trigger language plpgsql as $$ begin return null; end $$;
        create trigger lose before insert on app.ticket_tags for each row execute function public.lose()`),
    )
    // A unique key is exchanged, so both tags go from the pool before they come again; and with them what leans on them.
    await run(`update tags set name = 'c' where name = 'a'`)
    await run(`update tags set name = 'a' where name = 'b'`)
    await run(`update tags set name = 'b' where name = 'c'`)
  })
  const { id } = await moves.start({ tenant: 'hooli', tier: 'free', by: 'test' })
  const { state, reason } = await moves.reached(id, 'watching')
  expect(isChanged).toBe(true)
  expect({ state, reason }).toEqual({
    state: 'aborted',
    reason: expect.stringMatching(/differs from the source: ticket_tags/),
  })
  await runner.close()
}, 60_000)
