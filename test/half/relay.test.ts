import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ConfigInput, pairKeys, type Reach, resolveConfig } from '../../config/index.ts'
import { publicKeyOf } from '../../config/x25519.ts'
import { openControlPlane } from '../../tiers/control/control-plane.ts'
import { type Half, startHalf } from '../../tiers/half/half.ts'
import { otherHalf } from '../../tiers/half/other-half.ts'
import { openMoverClient } from '../../tiers/move/mover-client.ts'
import type { Move } from '../../tiers/move/types.ts'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { openLink } from '../../tiers/pg/link.ts'
import { QUICK } from '../move/support/two-clusters.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { startTap, type Tap } from '../support/tap.ts'
import { waitUntil } from '../support/wait.ts'
import { channelKeys, halfConfig, halfKeys, withHalves } from './support.ts'

/** `us` is left by acme, which is on its way to `eu`; nobody moves anything, so the move stays open. */
let system: TestSystem
let half: Half
let move: Move
/** Between the halves, and between the half and its own server. */
let channel: Tap
let server: Tap
const refused: string[] = []

beforeAll(async () => {
  channel = await startTap()
  server = await startTap()
  system = await startTestSystem({
    regions: ['us', 'eu'],
    tenants: [
      { slug: 'acme', tier: 'enterprise', region: 'us' },
      { slug: 'hooli', tier: 'enterprise', region: 'us' },
    ],
    env: halfKeys(),
    moveSettings: QUICK,
    configure: (input) => withHalves(input, { us: channel.port, eu: 1 }),
  })
  half = await halfOfUs()
  channel.target = half.port
  server.target = system.servers.get('us')!.server.port
  move = await system.control.moves.start({ tenant: 'acme', region: 'eu', by: 'test' })
})
afterAll(async () => {
  await half?.close()
  await system?.close()
  await Promise.all([channel?.close(), server?.close()])
})

async function halfOfUs(): Promise<Half> {
  const { sql } = openLink({ url: system.env.INNKEEPER_CONTROL_URL! }, { applicationName: 'test', max: 2 })
  const clusters = new Map(halfConfig(system.input, system.env, 'us').regions.get('us')!.secrets!.clusters)
  const url = new URL(clusters.get('us-1')!.adminUrl!)
  url.port = String(server.port)
  clusters.set('us-1', { ...clusters.get('us-1')!, adminUrl: url.href })
  const started = await startHalf({
    region: 'us',
    host: '127.0.0.1',
    port: 0,
    keys: channelKeys(system.input, system.env, 'us'),
    clusters,
    redis: null,
    hands: null,
    sql,
    onRefused: (peer, why) => refused.push(`${peer}: ${why}`),
  })
  return {
    ...started,
    async close() {
      await started.close()
      await sql.end()
    },
  }
}

/** The same, for a control plane that moves tenants itself. */
function withoutHalves(input: ConfigInput): ConfigInput {
  const regions = Object.entries(input.regions).map(([name, { mover: _none, ...region }]) => [name, region])
  return { ...input, regions: Object.fromEntries(regions) }
}

const fromEu = () =>
  otherHalf({ host: '127.0.0.1', port: channel.port }, channelKeys(system.input, system.env, 'eu').calling('us')!)
const client = (database: string, reach: Reach) =>
  openMoverClient({ url: 'postgres://nobody@nowhere.invalid/x', reach, database, applicationName: 'innkeeper-test' })
const room = () => move.from.placement.database
const backends = () =>
  withAdmin(system.env.INNKEEPER_US_1_ADMIN_URL!, 'postgres', {}, async (sql) => {
    const [row] = await sql<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity where application_name = 'innkeeper-test'`
    return row!.n
  })

describe('what a half opens for another', () => {
  test('is a session on its own server, proved with its own credential, for either driver, and called as it is asked to be', async () => {
    const one = await client(room(), fromEu().reach('us-1', move.id))
    expect(
      await one.query('select current_database() as db, current_setting($1) as name', ['application_name']),
    ).toEqual([{ db: room(), name: 'innkeeper-test' }])
    await one.close()
    const link = openLink(
      { url: 'postgres://nobody@nowhere.invalid/x', reach: fromEu().reach('us-1', null) },
      { applicationName: 'innkeeper-test', max: 1, database: 'postgres' },
    )
    expect((await link.sql`select ${7}::int as n`)[0]).toEqual({ n: 7 })
    await link.close(1)
    await waitUntil('no backend is left', async () => (await backends()) === 0)
  })

  test('says in the server’s words why there is none', async () => {
    await withAdmin(system.env.INNKEEPER_US_1_ADMIN_URL!, 'postgres', {}, async (sql) => {
      await sql.unsafe(`alter database "${room()}" with allow_connections false`)
      await expect(client(room(), fromEu().reach('us-1', move.id))).rejects.toMatchObject({
        cause: { code: '55000' },
      })
      await sql.unsafe(`alter database "${room()}" with allow_connections true`)
    })
  })

  test('is only what an open move that leads there needs: no other cluster, database, move or region', async () => {
    const hooli = (await system.control.tenant('hooli')).placement!.database
    const eu = fromEu()
    const before = refused.length
    for (const [reach, database] of [
      [eu.reach('us-1', move.id), hooli],
      [eu.reach('us-1', null), hooli],
      [eu.reach('us-1', null), 'innkeeper_control'],
      [eu.reach('us-2', move.id), 'postgres'],
      [eu.reach('us-1', crypto.randomUUID()), room()],
    ] as const) {
      await expect(client(database, reach)).rejects.toMatchObject({ code: 'forbidden' })
    }
    await expect(eu.cached(crypto.randomUUID(), true)).rejects.toMatchObject({ code: 'forbidden' })
    expect(await eu.cached(move.id, false)).toBeNull()
    expect(refused.length - before).toBe(6)
    expect(refused.at(-1)).toMatch(/^eu: no open move leads from here to eu/)
  })

  test('is told by no credential: none of the region is in the other’s environment, nor on the channel, nor a row in clear', async () => {
    channel.isRecording = true
    const canary = randomBytes(12).toString('hex')
    const one = await client(room(), fromEu().reach('us-1', move.id))
    expect(await one.query(`select '${canary}' as text`)).toEqual([{ text: canary }])
    await one.close()
    channel.isRecording = false
    const seen = Buffer.concat(channel.recorded()).toString('latin1')
    expect(seen.length).toBeGreaterThan(500)
    for (const secret of [canary, room(), 'innkeeper', 'select']) expect(seen).not.toContain(secret)
  })
})

describe('whoever cannot prove himself', () => {
  test('gets nothing: a key that is not known, the right name with another key, a third region, no TLS at all', async () => {
    const { input, env } = system
    const address = { host: '127.0.0.1', port: channel.port }
    const us = channelKeys(input, env, 'us')
    const eu = channelKeys(input, env, 'eu').calling('us')!
    const stranger = randomBytes(32)
    const madeUp = pairKeys(
      'half',
      'mars',
      new Map([
        ['mars', { keys: [stranger], publicKeys: [publicKeyOf(stranger)] }],
        ['us', { keys: [], publicKeys: [Buffer.from(env.INNKEEPER_US_MOVER_PUBLIC_KEY!, 'base64')] }],
      ]),
    ).calling('us')!
    // A key of the other direction is a key of these two as well, and none of a call to us.
    const turned = { ...us.calling('eu')!, to: 'us' }
    for (const key of [madeUp, { ...eu, key: randomBytes(32) }, turned]) {
      const called = otherHalf(address, key).reach('us-1', move.id)(room())
      await expect(called).rejects.toMatchObject({ code: 'unauthenticated' })
    }
    expect(await answerTo(channel.port, Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'))).not.toContain('HTTP')
    expect(await backends()).toBe(0)
  })

  test('gains nothing by what it recorded of somebody who could', async () => {
    channel.sent.length = 0
    channel.isRecording = true
    const one = await client(room(), fromEu().reach('us-1', move.id))
    channel.isRecording = false
    await waitUntil('it is the only one', () => half.sessions() === 1)
    await answerTo(half.port, Buffer.concat(channel.sent))
    expect(half.sessions()).toBe(1)
    expect(await backends()).toBe(1)
    await one.close()
  })

  test('is not waited for', async () => {
    const socket = connect(half.port, '127.0.0.1')
    await new Promise<void>((resolve) => {
      socket.on('error', () => {})
      socket.on('close', () => resolve())
    })
  }, 30_000)
})

/** What is answered to bytes that are sent, until the other end closes. */
function answerTo(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })
}

describe('a session', () => {
  test('ends at both ends when the channel is cut in the middle, and what was under way is rolled back', async () => {
    const one = await client(room(), fromEu().reach('us-1', move.id))
    await one.query('create table public.cut (n int)')
    const running = one.transaction('begin', async () => {
      await one.query('insert into public.cut select generate_series(1, 1000)')
      channel.cutAll()
      await one.query('select pg_sleep(10)')
    })
    await expect(running).rejects.toThrow()
    await waitUntil('no backend is left', async () => (await backends()) === 0)
    const again = await client(room(), fromEu().reach('us-1', move.id))
    expect(await again.query('select count(*)::int as n from public.cut')).toEqual([{ n: 0 }])
    await again.close()
  })

  test('takes no more from its server than the other end takes from it', async () => {
    server.answered = 0
    const stuck = await client(room(), fromEu().reach('us-1', move.id))
    const stream = (stuck.raw as unknown as { connection: { stream: NodeJS.ReadableStream } }).connection.stream
    const copying = stuck.query(`copy (select repeat(md5(n::text), 32) from generate_series(1, 100000) n) to stdout`)
    copying.catch(() => {})
    stream.pause()
    let last = -1
    await waitUntil('nothing more comes', async () => {
      const now = server.answered
      const isStill = now === last && now > 0
      last = now
      await sleep(500)
      return isStill
    })
    // Of a hundred million: what sockets on the way hold.
    expect(server.answered).toBeLessThan(50_000_000)
    stuck.cut()
    await waitUntil('no backend is left', async () => (await backends()) === 0)
  })

  test('carries a hundred megabytes to another server as they are', async () => {
    const source = await client(room(), fromEu().reach('us-1', move.id))
    const target = await openMoverClient({
      url: system.env.INNKEEPER_EU_1_ADMIN_URL!,
      database: 'postgres',
      applicationName: 'innkeeper-test',
    })
    await target.query('create temp table big (n int, t text)')
    const rows = `select n, repeat(md5(n::text), 32) as t from generate_series(1, 100000) n`
    const before = process.memoryUsage().rss
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss - before)
    }, 20)
    await source.copyTo(`copy (${rows}) to stdout (format binary)`, target, 'copy big from stdin (format binary)')
    clearInterval(watch)
    const sum = 'count(*)::int as n, md5(string_agg(md5(t), null order by n)) as sum'
    expect(await target.query(`select ${sum} from big`)).toEqual(await source.query(`select ${sum} from (${rows}) r`))
    expect(most).toBeLessThan(80 * 1024 * 1024)
    await Promise.all([source.close(), target.close()])
  }, 60_000)

  test('ends when its move has ended, and then there is no other', async () => {
    const one = await client(room(), fromEu().reach('us-1', move.id))
    await system.control.moves.abort(move.id)
    const { migrationsFolder, env } = system
    const config = resolveConfig(withoutHalves(system.input), { kind: 'control' }, env)
    const other = openControlPlane({ config, migrationsFolder, moveSettings: QUICK })
    other.moves.run()
    expect((await other.moves.reached(move.id, 'aborted')).state).toBe('aborted')
    await other.close()
    await waitUntil('no session is left', () => half.sessions() === 0)
    await expect(one.query('select')).rejects.toThrow()
    await expect(client(room(), fromEu().reach('us-1', move.id))).rejects.toMatchObject({ code: 'forbidden' })
    await expect(client('postgres', fromEu().reach('us-1', null))).rejects.toMatchObject({ code: 'forbidden' })
  }, 30_000)

  test('is had again by a pool whose half was out of reach for a while', async () => {
    move = await system.control.moves.start({ tenant: 'acme', region: 'eu', by: 'test' })
    channel.mode = 'cut'
    const link = openLink(
      { url: 'postgres://nobody@nowhere.invalid/x', reach: fromEu().reach('us-1', null) },
      { applicationName: 'innkeeper-test', max: 1, database: 'postgres' },
    )
    for (let n = 0; n < 3; n++) await expect(link.sql`select 1`).rejects.toMatchObject({ code: 'region_unavailable' })
    channel.mode = 'pass'
    expect(await link.sql`select 1 as n`).toEqual([{ n: 1 }])
    await link.close(1)
  })

  test('ends when its half stops', async () => {
    const one = await client(room(), fromEu().reach('us-1', move.id))
    await half.close()
    await expect(one.query('select')).rejects.toThrow()
    await expect(client(room(), fromEu().reach('us-1', move.id))).rejects.toMatchObject({ code: 'region_unavailable' })
    await waitUntil('no backend is left', async () => (await backends()) === 0)
    half = await halfOfUs()
    channel.target = half.port
  })
})
