import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { asAccount } from '../../gateway/dev/postgres/account.ts'
import { findPostgresBinaries } from '../../gateway/dev/postgres/binaries.ts'
import { choosePlace } from '../../gateway/dev/postgres/place.ts'
import { familyOf, isPostmaster } from '../../gateway/dev/postgres/process.ts'
import { removeLocalPostgres } from '../../gateway/dev/postgres/remove.ts'
import { startLocalPostgres } from '../../gateway/dev/postgres/server.ts'
import type { LocalPostgres, LocalPostgresOptions } from '../../gateway/dev/postgres/types.ts'
import { seedFromTemplate } from '../support/template.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { waitUntil } from '../support/wait.ts'

const binaries = findPostgresBinaries()
let folder: string
let dataDirs: Set<string>

beforeEach(async () => {
  folder = await temporaryFolder('dev')
  dataDirs = new Set()
})

afterEach(async () => {
  for (const dataDir of dataDirs) await removeLocalPostgres(dataDir)
  await rm(folder, { recursive: true, force: true })
})

/** A server whose data is there already; what the first start of all does is tested by {@link startNew}. */
async function start(name: string, options: Partial<LocalPostgresOptions> = {}): Promise<LocalPostgres> {
  const dataDir = options.dataDir ?? join(folder, name)
  if (!existsSync(dataDir)) {
    await mkdir(dataDir)
    await seedFromTemplate(dataDir, binaries)
  }
  return startNew(name, options)
}

function startNew(name: string, options: Partial<LocalPostgresOptions> = {}): Promise<LocalPostgres> {
  const dataDir = options.dataDir ?? join(folder, name)
  dataDirs.add(dataDir)
  return startLocalPostgres({ name, dataDir, settings: { fsync: 'off' }, ...options })
}

async function query(server: LocalPostgres, sql: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

/** Runs a start in a process of its own, and kills that one with SIGKILL at the moment given. */
async function killedStart(dataDir: string, moment: (output: Readable) => Promise<unknown>): Promise<void> {
  const script = `
    import { startLocalPostgres } from ${JSON.stringify(new URL('../../gateway/dev/postgres/server.ts', import.meta.url))}
    await startLocalPostgres({ name: 'killed', dataDir: ${JSON.stringify(dataDir)} })
    console.log('ready')
    setInterval(() => {}, 1000)`
  dataDirs.add(dataDir)
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await moment(child.stdout)
  child.kill('SIGKILL')
  await once(child, 'exit')
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

test('data and password are kept between starts', async () => {
  const first = await startNew('kept')
  await query(first, 'create table note as select 42 as n')
  await first.stop()
  const second = await startNew('kept')
  expect(await query(second, 'select n from note')).toEqual([[42]])
  expect(second.password).toBe(first.password)
  expect((await stat(join(folder, 'kept', 'password'))).mode & 0o777).toBe(0o600)
})

test('a start from the npm start defaults waits for the disk, listens on loopback only and sorts by bytes', async () => {
  const server = await startNew('defaults', { settings: {} })
  const names = ['fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'unix_socket_directories']
  const shown = await query(server, `select string_agg(current_setting(n), ' ') from unnest('{${names}}'::text[]) n`)
  expect(shown).toEqual([['on on on 127.0.0.1 ']])
  expect(
    await query(server, "select datcollate, pg_encoding_to_char(encoding) from pg_database where datname = 'postgres'"),
  ).toEqual([['C', 'UTF8']])
})

test('a wrong password is refused', async () => {
  const server = await start('wrong')
  const client = new pg.Client({ connectionString: server.url('postgres', 'postgres', 'guess') })
  await expect(client.connect()).rejects.toMatchObject({ code: '28P01' })
})

test('a server left running by a killed start is taken over', async () => {
  const dataDir = join(folder, 'left')
  await killedStart(dataDir, (output) => once(output, 'data'))
  const progress: string[] = []
  const server = await start('left', { dataDir, onProgress: (text) => progress.push(text) })
  expect(progress).toEqual([`left: was running, taken over, port ${server.port}`])
  expect(await query(server, 'select 1')).toEqual([[1]])
  await server.stop()
  expect(isPostmaster(server.pid, (await choosePlace(dataDir, binaries)).data)).toBe(false)
})

test('an interrupted initdb is redone', async () => {
  const dataDir = join(folder, 'interrupted')
  const { home } = await choosePlace(dataDir, binaries)
  await killedStart(dataDir, () =>
    waitUntil('initdb to be at work', async () => {
      const half = (await readdir(home)).find((name) => name.startsWith('half-made') && !name.endsWith('password'))
      return half !== undefined && (await readdir(join(home, half))).includes('base')
    }),
  )
  expect(await readdir(home)).not.toContain('data')
  const server = await startNew('interrupted', { dataDir })
  expect(await query(server, 'select count(*) > 0 from pg_class')).toEqual([[true]])
  expect(await readdir(home)).toEqual(['data'])
})

test('stop leaves no process, and a second stop does nothing', async () => {
  const server = await start('stopped')
  const client = new pg.Client({ connectionString: server.url() })
  client.on('error', () => {})
  await client.connect()
  await server.stop()
  // A process that has ended stays on the list until its parent, this one, takes note of it.
  await expect.poll(() => isGone(server.pid)).toBe(true)
  await server.stop()
  await expect(query(server, 'select 1')).rejects.toThrow('ECONNREFUSED')
})

test('a killed server restarts on its port, with what it had committed', async () => {
  const server = await start('killed', { settings: {} })
  await query(server, 'create table note as select 1 as n')
  const { pid, port } = server
  server.kill('SIGKILL')
  await server.restart()
  expect(server.pid).not.toBe(pid)
  expect(server.port).toBe(port)
  expect(await query(server, 'select n from note')).toEqual([[1]])
})

test('a frozen server answers again when it is thawed, and can be stopped', async () => {
  const server = await start('frozen')
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  server.kill('SIGSTOP')
  let answered = false
  const answer = client.query('select 1').then(() => (answered = true))
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(answered).toBe(false)
  server.kill('SIGCONT')
  await answer
  await client.end()
  server.kill('SIGSTOP')
  const stopping = performance.now()
  await server.stop()
  // A process that has ended stays on the list until its parent, this one, takes note of it.
  await expect.poll(() => isGone(server.pid)).toBe(true)
  expect(performance.now() - stopping).toBeLessThan(30_000)
})

test('a server is frozen as a whole, also while connections are being made', { timeout: 60_000 }, async () => {
  const server = await start('crowded')
  const client = `import pg from 'pg'
    const go = async () => {
      const client = new pg.Client(process.argv[1])
      client.on('error', () => {})
      await client.connect().then(() => client.end()).catch(() => {})
      go()
    }
    for (let n = 0; n < 6; n++) go()`
  const clients = Array.from({ length: 3 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', client, server.url()]),
  )
  try {
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    for (let round = 0; round < 200; round++) {
      server.kill('SIGSTOP')
      // One that was waiting for a processor stops when it gets one.
      await expect.poll(() => familyOf(server.pid).map(stateOf).filter(isAwake), { timeout: 5_000 }).toEqual([])
      server.kill('SIGCONT')
      await new Promise((resolve) => setTimeout(resolve, 20 + (round % 10)))
    }
  } finally {
    for (const each of clients) each.kill('SIGKILL')
  }
})

const stateOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]![0]!
/** T: frozen; Z: ended. */
const isAwake = (state: string) => !'TZ'.includes(state)

test('the process id of a dead server that another process has now is no obstacle', async () => {
  const dataDir = join(folder, 'reused')
  const first = await start('reused', { dataDir })
  const { account, data } = await choosePlace(dataDir, binaries)
  const pidFile = await readFile(join(data, 'postmaster.pid'), 'utf8')
  await first.stop()
  // The server's own user's, since PostgreSQL itself sees through a process that it may not signal.
  const stranger = spawn('sleep', ['60'], asAccount(account))
  try {
    await writeFile(join(data, 'postmaster.pid'), pidFile.replace(String(first.pid), String(stranger.pid)))
    const second = await start('reused', { dataDir })
    expect(await query(second, 'select 1')).toEqual([[1]])
    expect(stranger.exitCode).toBe(null)
  } finally {
    stranger.kill()
  }
})

test('a port that is taken is left to whom it belongs', async () => {
  const one = await start('one')
  const two = await start('two', { port: one.port })
  expect(two.port).not.toBe(one.port)
})

test('two starts on the same data share one server', async () => {
  const [one, two] = await Promise.all([startNew('shared'), startNew('shared')])
  expect(two.pid).toBe(one.pid)
  expect(two.port).toBe(one.port)
})

test('a server that does not come up says why, with its log', async () => {
  await expect(start('broken', { settings: { shared_buffers: 'much' } })).rejects.toMatchObject({
    code: 'internal',
    details: expect.stringContaining('invalid value for parameter "shared_buffers": "much"'),
    hint: expect.stringContaining('postgres.log'),
  })
})

test('a reset stops the server and leaves nothing', async () => {
  const server = await start('reset')
  await removeLocalPostgres(server.dataDir)
  // A process that has ended stays on the list until its parent, this one, takes note of it.
  await expect.poll(() => isGone(server.pid)).toBe(true)
  expect(await readdir(folder)).toEqual([])
  await removeLocalPostgres(server.dataDir)
})

test.runIf(process.getuid?.() === 0)('a folder that other users cannot enter works as root', async () => {
  const closed = join(folder, 'closed')
  await mkdir(closed, { mode: 0o700 })
  const dataDir = join(closed, 'server')
  const server = await startNew('closed', { dataDir })
  await query(server, 'create table note as select 7 as n')
  const away = (await readFile(join(dataDir, 'DATA-IS-ELSEWHERE.txt'), 'utf8')).split('\n')[0]!
  expect((await stat(away)).mode & 0o777).toBe(0o700)
  await server.stop()
  const again = await startNew('closed', { dataDir })
  expect(await query(again, 'select n from note')).toEqual([[7]])
  await removeLocalPostgres(dataDir)
  await expect(stat(away)).rejects.toThrow('ENOENT')
})

test.runIf(process.getuid?.() === 0)('data moved to a folder that other users cannot enter comes along', async () => {
  const server = await start('moved')
  await query(server, 'create table note as select 7 as n')
  const closed = join(folder, 'closed')
  await mkdir(closed, { mode: 0o700 })
  await rename(server.dataDir, join(closed, 'server'))
  const again = await start('moved', { dataDir: join(closed, 'server') })
  expect(await query(again, 'select n from note')).toEqual([[7]])
  // A process that has ended stays on the list until its parent, this one, takes note of it.
  await expect.poll(() => isGone(server.pid)).toBe(true)
})
