import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

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
