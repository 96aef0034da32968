import postgres, { type Sql } from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ClusterConfig } from '../../config/index.ts'
import { openProbe, type Probe } from '../../tiers/move/probe.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { waitUntil } from '../support/wait.ts'

let server: TestPostgres
let probe: Probe
const open: Sql[] = []
beforeAll(async () => {
  server = await startTestPostgres()
  probe = openProbe({ name: 'us-1', adminUrl: server.server.url('postgres') } as ClusterConfig)
})
afterAll(async () => {
  await probe?.close()
  await Promise.all(open.map((sql) => sql.end({ timeout: 0 })))
  await server?.stop()
})

const connect = (applicationName: string) => {
  const connection = { application_name: applicationName }
  const sql = postgres(server.server.url('postgres'), { max: 1, connection })
  open.push(sql)
  return sql
}
/** Statements that last until they are ended. */
const busy = (applicationName: string) => {
  const sql = connect(applicationName)
  const under = sql`select pg_sleep(600)`.execute()
  under.catch(() => {})
  return under
}

test('a measurement counts the statements of others that are under way, and neither idle sessions nor movers', async () => {
  expect(await probe.sample()).toEqual({ ms: expect.any(Number), active: 0 })
  const [first] = [busy('innkeeper'), busy('psql'), busy('innkeeper-move-1-1'), busy('innkeeper-probe')]
  await connect('idle')`select 1`
  await connect('idle in a transaction').unsafe('begin').simple()
  const watch = connect('watch')
  await waitUntil('all four to be under way', async () => {
    const [row] = await watch`select count(*)::int as n from pg_stat_activity where query like 'select pg_sleep(600)%'`
    return row!.n === 4
  })
  await waitUntil('two of them to be counted', async () => (await probe.sample())?.active === 2)
  first.cancel()
  await waitUntil('one of them to have ended', async () => (await probe.sample())?.active === 1)
})

test('where counting takes long it is done seldom, and a measurement without it says so', async () => {
  const counted: (number | null)[] = []
  await waitUntil('measurements with a count and without', async () => {
    counted.push((await probe.sample())!.active)
    return counted.includes(null) && counted.some((active) => active !== null)
  })
})

test('a measurement has the time of the small transaction in it, and the way there is apart from it', async () => {
  const { ms } = (await probe.sample())!
  // It sleeps for one.
  expect(ms).toBeGreaterThan(1)
  expect(probe.wayMs()).toBeGreaterThan(0)
})

test('a server that does not answer is not measured, and is again when it does', async () => {
  const elsewhere = openProbe({ name: 'us-1', adminUrl: 'postgres://postgres@127.0.0.1:1/postgres' } as ClusterConfig)
  expect(await elsewhere.sample()).toBeNull()
  await elsewhere.close()
  await connect(
    'breaker',
  )`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'innkeeper-probe'`
  await waitUntil('it to answer again', async () => (await probe.sample()) !== null)
})
