import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { whenWeDie } from '../support/guard.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'

const BIN = fileURLToPath(new URL('../../gateway/cli/innkeeper.js', import.meta.url))

let system: TestSystem
beforeAll(async () => {
  system = await startTestSystem({ regions: ['us', 'eu'], tenants: [{ slug: 'acme', tier: 'free', region: 'us' }] })
})
afterAll(() => system?.close())

interface Running {
  readonly child: ChildProcess
  readonly url: string
  readonly ended: Promise<unknown[]>
}

/** Starts a command that goes on until it is stopped. */
async function start(...args: string[]): Promise<Running> {
  // A gateway is started with its own region's credentials and nothing else.
  const own = Object.entries(system.env).filter(
    ([name]) => args[0] === 'control' || !/_EU_(?!PEERING_PUBLIC)|_ADMIN_/.test(name),
  )
  const env = { PATH: process.env.PATH!, ...Object.fromEntries(own) }
  const child = spawn(process.execPath, [BIN, ...args], { env, cwd: '/' })
  const callOff = whenWeDie('kill -9 "$1"', String(child.pid))
  const ended = once(child, 'exit').finally(callOff)
  let err = ''
  child.stdout.resume()
  child.stderr.on('data', (chunk) => (err += chunk))
  const found = () => / at (http:\S+)\n/.exec(err)?.[1]
  await waitUntil(
    `innkeeper ${args[0]}`,
    () => {
      if (child.exitCode !== null) throw new Error(err)
      return found() !== undefined
    },
    40_000,
  )
  return { child, url: found()!, ended }
}

test('serve runs a gateway with its own region’s credentials, and ends well on SIGTERM', async () => {
  const { child, url, ended } = await start('serve', '--region', 'us', '--port', '0', '--host', '127.0.0.1')
  const answer = await fetch(`${url}/t/acme/rest/v1/tags`, { headers: { apikey: system.keyOf('acme') } })
  expect([answer.status, await answer.json()]).toEqual([200, []])
  const asked = performance.now()
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  expect(performance.now() - asked).toBeLessThan(8_000)
})

test('control runs the admin API, and one Ctrl-C that arrives twice is one', async () => {
  const { child, url, ended } = await start('control', '--port', '0')
  const headers = { authorization: `Bearer ${system.env.INNKEEPER_ADMIN_TOKEN}` }
  expect((await fetch(`${url}/admin/v1/tenants/acme`, { headers })).status).toBe(200)
  expect((await fetch(`${url}/admin/v1/tenants/acme`)).status).toBe(401)
  child.kill('SIGINT')
  child.kill('SIGINT')
  expect(await ended).toEqual([0, null])
})
