import postgres from 'postgres'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { BUSY } from '../support/busy.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let admin: TestAdmin
let sql: postgres.Sql
let id: string
beforeAll(async () => {
  system = await startTestSystem()
  admin = await startTestAdmin(system)
  sql = postgres(system.config.controlUrl, { max: 3 })
  // Nobody works on moves here: each stays as it is put.
  const move = await system.control.moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
  id = move.id
})
afterAll(async () => {
  await sql?.end()
  await admin?.close()
  await system?.close()
})

const put = (state: string) => sql`
  update moves set state = ${state}, request = null,
    ended_at = ${['aborted', 'completed', 'rolled_back'].includes(state) ? sql`now()` : null} where id = ${id}`
beforeEach(() => put('planned'))
const ask = (request: string) => admin.call('POST', `/admin/v1/moves/${id}/${request}`)
const written = async () => (await sql`select request from moves where id = ${id}`)[0]!.request

test.each([
  ['abort', 'aborted', ['rollback', 'complete']],
  ['rollback', 'rolled_back', ['abort', 'complete']],
  ['complete', 'completed', ['abort', 'rollback']],
])('%s of a move that is %s is answered as done, and %j say how it ended', async (request, end, others) => {
  await put(end)
  expect(await ask(request)).toMatchObject({ status: 200, body: { state: end } })
  for (const other of others) {
    expect(await ask(other)).toMatchObject({
      status: 409,
      body: { code: 'conflict', message: `The move has ended: it is ${end}` },
    })
  }
  expect(await written()).toBeNull()
})

test.each([
  ['abort', 'copying', 'aborting', 'watching'],
  ['rollback', 'watching', 'returning', 'copying'],
  ['complete', 'watching', 'completing', 'rolling_back'],
])(
  '%s is taken while a move is %s, changes nothing while it is %s, and is refused while it is %s',
  async (request, from, during, not) => {
    await put(during)
    expect(await ask(request)).toMatchObject({ status: 202, body: { state: during, request: null } })
    await put(not)
    expect(await ask(request)).toMatchObject({ status: 409, body: { code: 'conflict' } })
    await put(from)
    expect(await ask(request)).toMatchObject({ status: 202, body: { state: from, request } })
    expect(await written()).toBe(request)
  },
)

test('a request that meets the end of a move is told how it ended, and not that it was taken', async () => {
  let answer: ReturnType<typeof ask>
  await sql.begin(async (tx) => {
    await tx`update moves set state = 'completed', ended_at = now() where id = ${id}`
    answer = ask('abort')
    // It has seen the move as it was, and waits to write.
    const waiting = () =>
      sql`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%requested_by%'`
    await expect.poll(async () => (await waiting()).length, { timeout: 5_000 * BUSY }).toBe(1)
  })
  expect(await answer!).toMatchObject({ status: 409, body: { message: 'The move has ended: it is completed' } })
  expect(await written()).toBeNull()
})
