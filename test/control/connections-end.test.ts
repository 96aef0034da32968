import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import driver from 'postgres'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { holding } from '../../tiers/pg/begin.ts'
import { endGently } from '../../tiers/pg/gentle-end.ts'
import { type Link, openLink } from '../../tiers/pg/link.ts'
import { type Link as Network, openLink as openNetwork } from '../support/link.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

let postgres: TestPostgres
let network: Network
let admin: Link
beforeAll(async () => {
  postgres = await startTestPostgres()
  network = await openNetwork(postgres.server.port)
  admin = openLink({ url: postgres.server.url() }, { applicationName: 'admin', max: 2 })
  await admin.sql`create table written (what text)`
})
afterAll(async () => {
  await admin?.close(0)
  await network?.close()
  await postgres?.stop()
})

/** Of the link under test: a server takes its time to notice that a client is gone. */
let name = ''
let tests = 0

/** One connection, so that whatever was left on it is met by whoever comes next. */
function open(url = network.through(postgres.server.url()), max = 1): Link {
  name = `tested-${tests++}`
  const link = openLink({ url }, { applicationName: name, max })
  onTestFinished(() => link.close(0))
  return link
}

/** What vitest would report as an error of nobody's is an end of the process in production. */
const ENDS = {
  'is terminated': async () => {
    await admin.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = ${name}`
  },
  'is reset': async () => {
    network.set('reset')
    await sleep(20)
    network.set('pass')
  },
}
const MOMENTS = ['during a statement', 'between two statements'] as const

const CASES = Object.entries(ENDS).flatMap(([how, end]) => MOMENTS.map((when) => ({ how, when, end })))

test.each(CASES)(
  'a transaction whose connection $how $when fails, and nothing of it runs later',
  async ({ when, end }) => {
    const { sql } = open()
    await sql`select`
    const goOn = Promise.withResolvers<void>()
    const transaction = sql.begin(async (tx) => {
      await tx`insert into written values ('first')`
      if (when === 'during a statement') await tx`select pg_sleep(60)`
      await goOn.promise
      await tx`insert into written values ('late')`
    })
    const failing = expect(transaction).rejects.toThrow()
    await expect
      .poll(() => admin.sql`select from pg_stat_activity where application_name = ${name} and xact_start is not null`)
      .toHaveLength(1)
    await end()
    await failing
    // The connection is another transaction's now.
    await untilServed(sql)
    await sql.begin(async (tx) => {
      await tx`insert into written values ('other')`
      goOn.resolve()
      await sleep(50)
      await tx`insert into written values ('other')`
    })
    await sleep(50)
    expect(await admin.sql`delete from written returning what`).toEqual([{ what: 'other' }, { what: 'other' }])
    for (let n = 0; n < 5; n++) expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
  },
)

test('a driver that keeps its greeting for a connection that has ended is made to forget it, and greets the next one', async () => {
  let sockets = 0
  const open = async () => {
    if (++sockets > 1) {
      const socket = connect(postgres.server.port, '127.0.0.1')
      await once(socket, 'connect')
      endGently(socket)
      return socket
    }
    const dead = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    // Asked for before the driver asks for its own turn, in which it would write.
    setImmediate(() => dead.emit('close', false))
    return dead
  }
  const options = { max: 1, fetch_types: false, connect_timeout: 2, backoff: () => 0.01, socket: open }
  const sql = driver(postgres.server.url(), options as Parameters<typeof driver>[1])
  onTestFinished(() => sql.end({ timeout: 0 }))
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
  // The dead one, the one that was not greeted, and the next.
  expect(sockets).toBe(3)
})

test.each([
  ['small', 10],
  // So that an end comes in the middle of one.
  ['large', 1_000_000],
])(
  'many statements at once with %s answers are refused or answered when their connections end, and later ones answered',
  async (_size, bytes) => {
    const { sql } = open(undefined, 4)
    for (let round = 0; round < 10; round++) {
      const asked = Array.from({ length: 60 }, (_, n) =>
        n % 3 ? sql`select repeat('x', ${bytes}::int)` : sql.begin((tx) => tx`select 1 as one`),
      )
      const answers = Promise.allSettled(asked)
      await sleep(round)
      await ENDS[round % 2 ? 'is reset' : 'is terminated']()
      await answers
      // Each connection may tell once.
      const all = () =>
        Promise.all(Array.from({ length: 20 }, () => sql`select 1 as one`)).then(
          (rows) => rows.length,
          () => 0,
        )
      await expect.poll(all, { timeout: 5_000 }).toBe(20)
    }
  },
  60_000,
)

test('a server that takes connections and ends them without a word refuses what was asked, and is not besieged', async () => {
  let connections = 0
  const server = createServer((socket: Socket) => {
    connections++
    socket.on('error', () => {}).end()
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { sql } = open(`postgres://x@127.0.0.1:${(server.address() as { port: number }).port}/x`)
  await expect(sql`select`).rejects.toThrow()
  await sleep(300)
  expect(connections).toBe(1)
})

test('who listens hears again when the connection has ended', async () => {
  const { sql } = open()
  const heard: string[] = []
  await sql.listen('news', (payload) => heard.push(payload))
  for (const end of Object.values(ENDS)) {
    await end()
    await expect
      .poll(
        async () => {
          await admin.sql`select pg_notify('news', 'x')`
          return heard.splice(0).length
        },
        { timeout: 5_000 },
      )
      .toBeGreaterThan(0)
  }
})

test('work under a lock that is lost with its connection is waited for, and not said to be done', async () => {
  const { sql } = open()
  let isDone = false
  const held = holding(
    sql,
    (tx) => tx`select pg_advisory_xact_lock(7)`,
    async () => {
      await ENDS['is terminated']()
      await sleep(200)
      isDone = true
    },
  )
  await expect(held).rejects.toThrow()
  expect(isDone).toBe(true)
  await untilServed(sql)
})

/** The first statements may be told of the old connection's end. */
async function untilServed(sql: Link['sql']): Promise<void> {
  await expect
    .poll(
      () =>
        sql`select 1 as one`.then(
          (rows) => rows[0],
          () => null,
        ),
      { timeout: 5_000 },
    )
    .toEqual({ one: 1 })
}
