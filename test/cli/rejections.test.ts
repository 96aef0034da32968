import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../support/cli.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { temporaryFolder } from '../support/temporary.ts'

const GUARD = new URL('../../gateway/driver-rejections.ts', import.meta.url).href
const ALIVE = 7

let on: TestPostgres
beforeAll(async () => {
  on = await startTestPostgres()
})
afterAll(() => on?.stop())

/** How a process ends that would go on for a moment if it could. */
async function endOf(code: string, isGuarded: boolean): Promise<number> {
  const guard = isGuarded ? `import { surviveLostTypeQueries } from '${GUARD}'\nsurviveLostTypeQueries()` : ''
  const text = `${guard}\n${code}\nsetTimeout(() => process.exit(${ALIVE}), 1_000)`
  const cwd = new URL('../..', import.meta.url).pathname
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], { cwd, stdio: 'ignore' })
  const [status] = await once(child, 'exit')
  return status as number
}

test('a database that dies just when a process connects does not end the process', async () => {
  const proxy = createServer((client) => {
    const server = connect(on.server.port, on.server.host)
    for (const socket of [client, server]) socket.on('error', () => {})
    client.on('data', (chunk) => (chunk.includes('typarray') ? client.resetAndDestroy() : server.write(chunk)))
    server.pipe(client)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const url = on.server.url().replace(`:${on.server.port}/`, `:${(proxy.address() as AddressInfo).port}/`)
  const ask = `import postgres from 'postgres'
    const sql = postgres('${url}', { max: 1 })
    sql\`select 1\`.catch(() => {})`
  expect(await endOf(ask, false)).toBe(1)
  expect(await endOf(ask, true)).toBe(ALIVE)
  proxy.close()
})

test('any other rejection that nobody handles ends it as ever', async () => {
  expect(await endOf(`Promise.reject(new Error('x'))`, true)).toBe(1)
  expect(await endOf(`Promise.reject(Object.assign(new Error('x'), { query: 'select 1' }))`, true)).toBe(1)
})

/** A product's folder is read before anything is started, so it can stand in for a database that dies then. */
async function productThatLosesItsDatabase(query: string): Promise<string> {
  const folder = await temporaryFolder('rejections')
  const config = `void Promise.reject(Object.assign(new Error('lost'), { query: ${JSON.stringify(query)} }))
    await new Promise((resolve) => setTimeout(resolve, 200))
    process.exit(${ALIVE})`
  await writeFile(join(folder, 'innkeeper.config.ts'), config)
  return folder
}

test.each(['control', 'dev'])('%s goes on then, and ends by any other such rejection', async (command) => {
  for (const [query, code] of [
    ['select b.oid, b.typarray from pg_type', ALIVE],
    ['select 1', 1],
  ] as const) {
    const folder = await productThatLosesItsDatabase(query)
    const ended = await runCli([command, '--config', folder, '--state', join(folder, 'state')])
    expect([query, ended.code]).toEqual([query, code])
    await rm(folder, { recursive: true })
  }
})
