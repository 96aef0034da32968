import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import { expect } from 'vitest'
import { type Config, type ConfigInput, resolveConfig } from '../../config/index.ts'
import input from '../../config/innkeeper.config.ts'
import { freePort } from '../../gateway/dev/postgres/port.ts'
import type { LocalPostgres } from '../../gateway/dev/postgres/types.ts'
import { type TenantStore, tenantStore } from '../../tiers/control/tenant-store.ts'
import { openDirectory } from '../../tiers/directory/directory.ts'
import { installDirectory } from '../../tiers/directory/install.ts'
import { NO_OBSERVER, type TiersObserver } from '../../tiers/telemetry.ts'
import type { TenantId } from '../../tiers/types.ts'
import { BUSY } from '../support/busy.ts'
import { startTestPostgres } from '../support/postgres.ts'
import { missing, startProgram } from '../support/program.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { waitUntil } from '../support/wait.ts'

/** What "a change is visible on every gateway" promises, a second, and what a busy machine needs besides. */
export const VISIBLE_MS = 1_000 * BUSY

export type DirectorySettings = NonNullable<ConfigInput['directory']>
export type OpenDirectory = ReturnType<typeof openDirectory> & { readonly lookups: Lookups }

/** A control database on a server of its own, written to as the control plane does, and any number of directories over it. */
export interface TestControl {
  readonly server: LocalPostgres
  readonly sql: postgres.Sql
  readonly store: TenantStore
  /** A tenant with a place to live in. */
  tenant(slug: string): Promise<TenantId>
  config(settings?: DirectorySettings, url?: string): Config
  /** As a gateway opens it; closed with the rest. */
  open(options?: { settings?: DirectorySettings; url?: string; redis?: Redis }): OpenDirectory
  /** From now on the control database tells nobody of a change; undone by what it returns. */
  loseNotifications(): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** How many lookups were answered by what. */
export interface Lookups extends TiersObserver {
  control: number
  redisHits: number
}

export async function startControl(): Promise<TestControl> {
  // A server that is killed must not forget what it has confirmed.
  const { server, stop } = await startTestPostgres({ settings: { synchronous_commit: 'on' } })
  const url = server.url('innkeeper_control')
  const reader = { user: 'innkeeper_directory', password: 'reader-secret' }
  const readerUrl = () => server.url('innkeeper_control', reader.user, reader.password)
  await installDirectory({ url }, reader)
  const sql = postgres(url, { max: 4, onnotice: () => {}, backoff: () => 0.1 })
  const store = tenantStore(sql, sql)
  const opened: OpenDirectory[] = []
  const config = (settings: DirectorySettings = {}, controlUrl = readerUrl()) => {
    const { us } = input.regions
    return resolveConfig(
      { ...input, regions: { us }, residency: { profiles: {} }, directory: settings },
      { kind: 'gateway', region: 'us' },
      {
        INNKEEPER_DIRECTORY_URL: controlUrl,
        INNKEEPER_US_KEY: Buffer.alloc(32, 1).toString('base64'),
        INNKEEPER_US_1_URL: server.url(),
      },
    )
  }
  return {
    server,
    sql,
    store,
    config,
    async tenant(slug) {
      const id = uuidv7() as TenantId
      const room = { cluster: 'us-1', database: 'd', schema: 's', isolation: 'shared' as const }
      const place = (_loads: unknown, epoch: number) => ({ ...room, epoch })
      await store.begin({ id, slug, tier: 'free', region: 'us', idempotencyKey: null }, place)
      await store.setStatus(id, 'active')
      return id
    },
    open({ settings, url: controlUrl, redis } = {}) {
      const lookups = countLookups()
      const directory = openDirectory({ config: config(settings, controlUrl), redis, observer: lookups })
      const one = { ...directory, lookups }
      opened.push(one)
      return one
    },
    async loseNotifications() {
      const [{ source }] = (await sql`
        select pg_get_functiondef('directory_change'::regproc) as source`) as unknown as [{ source: string }]
      await sql.unsafe(source.replace(/perform pg_notify\([^;]*;/, ''))
      return async () => {
        await sql.unsafe(source)
      }
    },
    async close() {
      await Promise.all(opened.map((d) => d.close()))
      await sql.end({ timeout: 1 })
      await stop()
    },
  }
}

function countLookups(): Lookups {
  const lookups = {
    ...NO_OBSERVER,
    control: 0,
    redisHits: 0,
    count(name: string, _value: number, { layer, hit }: Readonly<Record<string, unknown>>) {
      if (name !== 'directory.lookups') return
      if (layer === 'control') lookups.control++
      if (layer === 'redis' && hit === true) lookups.redisHits++
    },
  }
  return lookups
}

/** Expects all of them to give the answer soon: long before what they know would be too old by itself. */
export async function expectSoon(
  directories: readonly OpenDirectory[],
  ask: (directory: OpenDirectory) => Promise<unknown>,
  answer: unknown,
  timeoutMs = VISIBLE_MS,
): Promise<void> {
  const expected = answer === null ? null : expect.objectContaining(answer as object)
  await Promise.all(
    directories.map((d) => expect.poll(() => ask(d), { timeout: timeoutMs, interval: 20 }).toEqual(expected)),
  )
}

/** Connects two ends of the network, and keeps back what the server says to some of the clients. */
export interface Proxy {
  readonly port: number
  /** Keeps back the answers of every connection on which `text` is sent from now on. */
  holdAnswersTo(text: string): void
  /** How many connections are being kept waiting. */
  held(): number
  release(): void
  /** From now on nothing goes through the connections that there are, either way, and nobody is told. */
  forget(): void
  close(): Promise<void>
}

/** @param port any where left out */
export async function startProxy(targetPort: number, port = 0): Promise<Proxy> {
  let wanted: string | null = null
  const holding = new Map<Socket, Buffer[]>()
  const sockets = new Set<Socket>()
  let forgotten = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.on('data', (data) => {
      if (forgotten.has(client)) return
      if (wanted !== null && data.includes(wanted)) holding.set(client, [])
      upstream.write(data)
    })
    upstream.on('data', (data) => {
      if (forgotten.has(client)) return
      const kept = holding.get(client)
      if (kept === undefined) client.write(data)
      else kept.push(data)
    })
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const listeningOn = (server.address() as AddressInfo).port
  return {
    port: listeningOn,
    holdAnswersTo(text) {
      wanted = text
    },
    held: () => [...holding.values()].filter((kept) => kept.length > 0).length,
    release() {
      wanted = null
      for (const [client, kept] of holding) for (const data of kept) client.write(data)
      holding.clear()
    },
    forget() {
      forgotten = new Set(sockets)
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

/** A Redis that a test may freeze and kill. */
export interface OwnRedis {
  readonly pid: number
  readonly port: number
  /** With the settings of a gateway's; closed with the server. */
  client(port?: number): Promise<Redis>
  stop(): Promise<void>
}

export async function startOwnRedis(): Promise<OwnRedis | null> {
  const [port, folder] = await Promise.all([freePort(), temporaryFolder('redis')])
  const program = await startProgram(
    'redis-server',
    ['--port', String(port), '--save', '', '--dir', folder],
    port,
    folder,
  )
  if (program === null) return missing('redis-server', 'apt-get install redis-server')
  const clients: Redis[] = []
  return {
    pid: program.pid,
    port,
    async client(through = port) {
      const redis = new Redis(through, '127.0.0.1', {
        maxRetriesPerRequest: 1,
        enableOfflineQueue: false,
        commandTimeout: 200,
        retryStrategy: () => 100,
      })
      redis.on('error', () => {})
      clients.push(redis)
      await waitUntil('Redis', () => redis.status === 'ready')
      return redis
    },
    async stop() {
      for (const redis of clients) redis.disconnect()
      await program.stop()
    },
  }
}
