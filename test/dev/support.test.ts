import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { expect, test } from 'vitest'
import { isPostmaster } from '../../gateway/dev/postgres/process.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'
import { startTestPostgres } from '../support/postgres.ts'
import { startTestRedis } from '../support/redis.ts'
import { waitUntil } from '../support/wait.ts'

async function select(connectionString: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows[0]?.[0]
  } finally {
    await client.end()
  }
}

test.each([15, 18] as const)('a test server of version %i starts and leaves nothing', async (version) => {
  const { server, stop } = await startTestPostgres({ version, settings: { max_connections: 17 } })
  expect(await select(server.url(), "select current_setting('server_version_num')::int / 10000")).toBe(version)
  expect(await select(server.url(), 'show max_connections')).toBe('17')
  await stop()
  expect(existsSync(server.dataDir)).toBe(false)
  expect(isPostmaster(server.pid, join(server.dataDir, 'server', 'data'))).toBe(false)
})

test('a test server does not outlive a test process that is killed', async () => {
  const script = `
    import { startTestPostgres } from ${JSON.stringify(new URL('../support/postgres.ts', import.meta.url))}
    const { server } = await startTestPostgres()
    server.kill('SIGSTOP')
    console.log(JSON.stringify({ pid: server.pid, dataDir: server.dataDir }))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', `${script}\nsetInterval(() => {}, 1000)`])
  const [line] = await once(child.stdout, 'data')
  const { pid, dataDir } = JSON.parse(String(line)) as { pid: number; dataDir: string }
  child.kill('SIGKILL')
  await waitUntil('its folder to be gone', () => !existsSync(dataDir))
  expect(isPostmaster(pid, join(dataDir, 'server', 'data'))).toBe(false)
})

test('PgBouncer lets users in with their passwords, and pools by transaction', async (context) => {
  const { server, stop } = await startTestPostgres()
  try {
    await select(server.url(), `create role app login password 'a"b''c'`)
    const bouncer = await startPgBouncer({ server, users: { app: `a"b'c` } })
    if (bouncer === null) return context.skip()
    expect(await select(bouncer.url('postgres', 'app'), 'select current_user::text')).toBe('app')
    await expect(select(bouncer.url('postgres', 'app', 'guess'), 'select 1')).rejects.toMatchObject({ code: '08P01' })
    expect(await select(bouncer.url('pgbouncer'), 'show config')).toBeDefined()
    await bouncer.stop()
  } finally {
    await stop()
  }
})

test('Redis is there, or the test that needs it is skipped', async (context) => {
  const redis = await startTestRedis()
  if (redis === null) return context.skip()
  expect(redis.url).toMatch(/^rediss?:/)
  await redis.stop()
})
