import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { whenWeDie } from '../support/guard.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { waitUntil } from '../support/wait.ts'

const BIN = fileURLToPath(new URL('../../gateway/cli/innkeeper.js', import.meta.url))
const START_MS = 60_000

interface Demo {
  readonly adminUrl: string
  readonly adminToken: string
  readonly tenants: readonly { slug: string; url: string; apiKey: string }[]
}

/** What `npm start` runs. */
async function start(state: string): Promise<{ demo: Demo; stop(): Promise<void> }> {
  const args = [BIN, 'dev', '--state', state, '--port', '0', '--admin-port', '0']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk))
  const ended = once(child, 'exit')
  const stop = async () => {
    child.kill('SIGINT')
    await ended
  }
  const callOff = whenWeDie('kill -TERM "$1"', String(child.pid))
  onTestFinished(async () => {
    await stop()
    callOff()
  })
  const file = join(state, 'demo.json')
  const isUp = () => {
    if (child.exitCode !== null) throw new Error(`it did not start: ${said}`)
    return said.includes('Ctrl-C') && existsSync(file)
  }
  await waitUntil('the start', isUp, START_MS)
  return { demo: JSON.parse(await readFile(file, 'utf8')) as Demo, stop }
}

test('a system that was stopped while a tenant may go back where it was starts again, and serves it', async () => {
  const state = await temporaryFolder('restart')
  const first = await start(state)
  const admin = async (demo: Demo, method: string, path: string, body?: object) => {
    const headers = { authorization: `Bearer ${demo.adminToken}`, 'content-type': 'application/json' }
    const answer = await fetch(`${demo.adminUrl}${path}`, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) }),
    })
    return (await answer.json()) as { id: string; state: string }
  }
  const { id } = await admin(first.demo, 'POST', '/admin/v1/tenants/acme/moves', { tier: 'enterprise' })
  const stateOf = async (demo: Demo) => (await admin(demo, 'GET', `/admin/v1/moves/${id}`)).state
  await waitUntil('the move', async () => (await stateOf(first.demo)) === 'watching', START_MS)
  await first.stop()

  const second = await start(state)
  expect(await stateOf(second.demo)).toBe('watching')
  const acme = second.demo.tenants.find((t) => t.slug === 'acme')!
  const rows = await fetch(`${acme.url}/rest/v1/tickets?select=id&limit=1`, { headers: { apikey: acme.apiKey } })
  expect(rows.status).toBe(200)
  expect(await rows.json()).toHaveLength(1)
  await second.stop()
}, 180_000)
