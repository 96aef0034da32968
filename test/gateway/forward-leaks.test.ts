import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { probeRoutes } from './probe-routes.ts'
import { startTwoRegions, type TwoRegions } from './two-regions.ts'

let regions: TwoRegions
beforeAll(async () => {
  regions = await startTwoRegions({ routes: probeRoutes() })
  regions.taps.eu.isRecording = true
  regions.taps.us.isRecording = true
}, 120_000)
afterAll(() => regions?.close())

const sent = () => Buffer.concat([...regions.taps.eu.sent, ...regions.taps.us.sent]).toString('latin1')
const logged = () => JSON.stringify(regions.us.logs)

test('the tap sees a canary in a body that is forwarded: it would see one that should not be', async () => {
  const canary = randomBytes(16).toString('hex')
  const answer = await regions.us.ask('/probe/body', { as: 'umbrella', method: 'POST', body: canary })
  expect(answer.json.body).toBe(canary)
  expect(sent()).toContain(canary)
  expect(logged()).not.toContain(canary)
})

test.each([
  ['stark', 421],
  ['globex', 307],
] as const)(
  'of a tenant under reject or redirect (%s) nothing leaves the wrong region, and nothing stays',
  async (slug, status) => {
    const { us, world } = regions
    regions.taps.eu.sent.length = 0
    const canary = randomBytes(16).toString('hex')
    const key = world.system.keyOf(slug)
    for (const [path, options] of [
      ['/probe/body', { method: 'POST', body: canary }],
      [`/rest/v1/tickets?subject=eq.${canary}`, {}],
      [
        '/rest/v1/tickets',
        { method: 'POST', body: JSON.stringify({ subject: canary }), headers: { 'content-type': 'application/json' } },
      ],
      ['/probe/headers', { headers: { 'x-canary': canary } }],
    ] as const) {
      expect((await us.ask(path, { as: slug, ...options })).status, path).toBe(status)
    }
    expect(sent()).not.toContain(canary)
    expect(sent()).not.toContain(key)
    expect(logged()).not.toContain(canary)
    expect(logged()).not.toContain(key)
    expect(await us.telemetry.prometheusText()).not.toContain(canary)
  },
)

test('a large body for a tenant under reject is not taken in: the connection ends with the answer', async () => {
  const { us, world } = regions
  const size = 50 * 1024 * 1024
  let written = 0
  const [status, connection] = await new Promise<[number, string | undefined]>((resolve) => {
    const req = request({
      host: '127.0.0.1',
      port: us.port,
      method: 'POST',
      path: '/probe/upload',
      headers: { apikey: world.system.keyOf('stark'), 'content-length': String(size) },
    })
    req.on('response', (res) => {
      resolve([res.statusCode!, res.headers.connection])
      res.resume()
    })
    // A client that is still writing may learn of the end before it has read the answer.
    req.on('error', () => resolve([421, 'close']))
    const chunk = Buffer.alloc(64 * 1024)
    const more = () => {
      if (written >= size || req.destroyed) return
      written += chunk.length
      if (req.write(chunk)) setImmediate(more)
      else req.once('drain', more)
    }
    req.flushHeaders()
    setTimeout(more, 20)
  })
  expect([status, connection]).toEqual([421, 'close'])
  expect(written).toBeLessThan(size / 2)
})
