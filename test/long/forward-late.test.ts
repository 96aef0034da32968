import { type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { probeRoutes } from '../gateway/probe-routes.ts'
import { startTwoRegions, type TwoRegions } from '../gateway/two-regions.ts'
import { waitUntil } from '../support/wait.ts'

const DEADLINE_MS = 1_000

let regions: TwoRegions
beforeAll(async () => {
  regions = await startTwoRegions({
    routes: probeRoutes(),
    configure: (input) => ({ ...input, http: { requestTimeoutMs: DEADLINE_MS, drainMs: 500 } }),
  })
}, 120_000)
afterAll(() => regions?.close())

/** An answer that has begun and is not being read. */
function begun(path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { apikey: regions.world.system.keyOf('umbrella') }
    const req = request({ host: '127.0.0.1', port: regions.us.port, path, headers }, (res) => resolve(res.pause()))
    req.on('error', reject).end()
  })
}

test('an answer that has begun may outlast the deadline', async () => {
  const answer = await begun('/probe/download/40')
  await sleep(DEADLINE_MS * 2)
  let bytes = 0
  for await (const chunk of answer) bytes += chunk.length
  expect(bytes).toBe(40 * 1024 * 1024)
})

test('a client that leaves after the deadline leaves nothing open behind it', async () => {
  const answer = await begun('/probe/download/40')
  await sleep(DEADLINE_MS * 2)
  expect(regions.taps.eu.connections().open).toBeGreaterThan(0)
  answer.on('error', () => {}).destroy()
  await waitUntil('the connection home to end', () => regions.taps.eu.connections().open === 0, 5_000)
})
