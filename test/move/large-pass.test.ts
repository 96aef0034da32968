import { afterAll, expect, test } from 'vitest'
import { BUSY } from '../support/busy.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

/** A pass that is too large for one piece of work is the same pass. */

const ROWS = 3_000
/** A number of JavaScript's would be another one. */
const LARGE = '-9007199254740993'

const systems: TestSystem[] = []
afterAll(async () => {
  for (const system of systems) await system.close()
})

test.each(['superuser', 'managed'] as const)(
  'thousands of rows that were changed, removed and added while a tenant was copied are all at its new home (%s)',
  async (adminRole) => {
    const tenants = [{ slug: 'acme', tier: 'free', region: 'us' }] as const
    // Held back from the first row on, so that pieces are small.
    const moveSettings = { quarantineMs: 100, unpacedMs: 0, deadlineMs: 5_000 }
    const system = await startTestSystem({ tenants, adminRole, moveSettings })
    systems.push(system)
    const session = (await system.openTenants('us')).session('acme')
    const run = async (text: string) => (await session.execute({ text, params: [] })).rows as Record<string, string>[]
    const customers = () => run(`select id::text, name, email, company from "{room}".customers order by id`)
    const insert = (kind: string, rows: number) =>
      run(`insert into "{room}".customers (name, email)
        select '${kind}', '${kind}-' || n || '@example.com' from generate_series(1, ${rows}) n`)
    await insert('old', ROWS)
    await run(`insert into "{room}".customers (id, name, email) overriding system value values (${LARGE}, 'L', 'l@l')`)

    let before: Awaited<ReturnType<typeof customers>> = []
    const change = async (turn: string) => {
      await run(`update "{room}".customers set company = '${turn} ' || id`)
      await run(`delete from "{room}".customers where name = 'old' and id % 10 = length('${turn}') % 10`)
      await insert(turn, 500)
      // A unique key goes from the first row to the last.
      const first = `id = (select min(id) from "{room}".customers where id > 0)`
      await run(`update "{room}".customers set email = 'on its way' where ${first}`)
      await run(`update "{room}".customers set email = 'first@l' where id = ${LARGE}`)
      await run(`update "{room}".customers set email = 'l@l' where ${first}`)
      before = await customers()
    }
    const { moves } = system.control
    let due: string | null = null
    const runner = moves.run(async (point) => {
      if (point !== 'loaded' || due === null) return
      const turn = due
      due = null
      await change(turn)
    })
    try {
      for (const tier of ['enterprise', 'free']) {
        const turn = `to ${tier}`
        due = turn
        const { id } = await moves.start({ tenant: 'acme', tier, by: 'test' })
        const move = await moves.reached(id, 'watching')
        expect(move, move.reason ?? '').toMatchObject({ state: 'watching', reason: null })
        expect(before.find((row) => row.id === LARGE)).toMatchObject({ company: `${turn} ${LARGE}` })
        expect(await customers()).toEqual(before)
        await run(`update "{room}".customers set email = 'was first' where email = 'l@l'`)
        await run(`update "{room}".customers set email = 'l@l' where id = ${LARGE}`)
        await moves.complete(id)
        await moves.reached(id, 'completed')
      }
    } finally {
      await runner.close()
    }
  },
  30_000 * BUSY,
)
