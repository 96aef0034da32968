import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Move } from '../../tiers/move/types.ts'
import { expectNothingLeft, openFences } from '../move/support/left.ts'
import { expectNothingLost, startLoad } from '../move/support/load.ts'
import { QUICK, startTwoClusters } from '../move/support/two-clusters.ts'
import { BUSY } from '../support/busy.ts'
import type { TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'

const ATTEMPTS = 3

let system: TestSystem
/** Called when a move comes to a point. */
let at: { point: string; act(): Promise<unknown> } | null = null
beforeAll(async () => {
  const moveSettings = { ...QUICK, drainMs: 150, retryMs: 100, attemptsMax: ATTEMPTS }
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }], { moveSettings })
  system.control.moves.run(async (point) => {
    if (point !== at?.point) return
    const { act } = at
    at = null
    await act()
  })
})
afterAll(() => system?.close())

/** A transaction of the tenant's that has written and is left open until told. */
async function openTransaction(session: Awaited<ReturnType<typeof sessionOf>>, email: string) {
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
  const { promise: isOpen, resolve: opened } = Promise.withResolvers<void>()
  const text = `insert into "{room}".customers (name, email) values ('long', $1)`
  const ended = session.transaction(async (tx) => {
    await tx.execute({ text, params: [`${email}-first`] })
    opened()
    await mayEnd
    await tx.execute({ text, params: [`${email}-last`] })
  })
  ended.catch(() => {})
  await Promise.race([isOpen, ended])
  return { end, ended }
}

const sessionOf = async () => (await system.openTenants('us')).session('acme')
const rowsOf = async (email: string) =>
  (
    await (
      await sessionOf()
    ).execute({
      text: `select email from "{room}".customers where email like $1`,
      params: [`${email}-%`],
    })
  ).rows.length

test.each(['state:preparing', 'state:cutting_over'])(
  'a transaction that outlives the drain bound from %s aborts the attempt, not itself, and the move is tried again',
  async (point) => {
    const { moves } = system.control
    const session = await sessionOf()
    let open: Awaited<ReturnType<typeof openTransaction>> | undefined
    at = {
      point,
      async act() {
        open = await openTransaction(session, point)
      },
    }
    const load = await startLoad(await system.openTenants('us'), 'acme', 1)
    const cluster = (await system.control.tenant('acme')).placement!.cluster === 'us-1' ? 'us-2' : 'us-1'
    const { id } = await moves.start({ tenant: 'acme', tier: 'free', cluster, by: 'test' })
    let move: Move | undefined
    await waitUntil(
      'an attempt that gave way',
      async () => {
        move = await moves.get(id)
        return /outlived|ran for longer/.test(move.reason ?? '')
      },
      5_000 * BUSY,
    )
    open!.end()
    await open!.ended
    move = await moves.reached(id, 'watching')
    expect(move, move.reason ?? '').toMatchObject({ state: 'watching' })
    expect(await rowsOf(point)).toBe(2)
    expectNothingLost(await load.stop())
    await moves.complete(id)
    await moves.reached(id, 'completed')
  },
)

test('a move that no attempt gets through gives up and says why; the transaction ends as if nothing had been', async () => {
  const { moves } = system.control
  const session = await sessionOf()
  let open: Awaited<ReturnType<typeof openTransaction>> | undefined
  at = {
    point: 'state:cutting_over',
    async act() {
      open = await openTransaction(session, 'stays')
    },
  }
  const before = await system.control.tenant('acme')
  const load = await startLoad(await system.openTenants('us'), 'acme', 1)
  const { id } = await moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
  // The move cannot end before the transaction has: capture is switched off when nobody is inside who still notes.
  await waitUntil('the end of the attempts', async () => (await moves.get(id)).state === 'aborting', 10_000 * BUSY)
  const { reason, attempts } = await moves.get(id)
  expect(reason).toMatch(
    new RegExp(`^gave up after ${ATTEMPTS} attempts: a transaction of the tenant's ran for longer`),
  )
  expect(attempts).toBe(ATTEMPTS)
  const operations = load.operations()
  await expect.poll(load.operations, { timeout: 5_000 * BUSY }).toBeGreaterThan(operations + 50)
  open!.end()
  await open!.ended
  const move = await moves.reached(id, 'aborted')
  expect(move).toMatchObject({ state: 'aborted', reason })
  expect((await system.control.tenant('acme')).placement).toEqual(before.placement)
  expect(await openFences(system, before.id)).toHaveLength(1)
  expect(await rowsOf('stays')).toBe(2)
  expectNothingLost(await load.stop())
  await expectNothingLeft(system, move.to.placement, before.id)
})
