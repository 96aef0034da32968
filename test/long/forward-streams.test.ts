import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { probeRoutes } from '../gateway/probe-routes.ts'
import { startTwoRegions, type TwoRegions } from '../gateway/two-regions.ts'
import { BUSY } from '../support/busy.ts'

const MB = 1024 * 1024
/** All three parties, client, gateway and home, are in this process: a stream that piled up anywhere would show. */
const GROWTH_BYTES_MAX = 100 * MB
/** What home may have sent that the client has not read: sockets and streams on the way hold some. */
const AHEAD_BYTES_MAX = 64 * MB
const SIZE_MB = 200

let regions: TwoRegions
beforeAll(async () => {
  regions = await startTwoRegions({
    routes: probeRoutes(),
    configure: (input) => ({
      ...input,
      tiers: {
        ...input.tiers,
        free: { ...input.tiers.free!, limits: { ...input.tiers.free!.limits, bodyBytesMax: 200 * MB } },
      },
    }),
  })
}, 120_000)
afterAll(() => regions?.close())

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** The most that is held, beyond what was before, while the work lasts; not what is only not collected yet. */
async function growthOf(work: () => Promise<void>): Promise<number> {
  const held = () => {
    collectGarbage()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const before = held()
  let most = 0
  const timer = setInterval(() => {
    most = Math.max(most, held() - before)
  }, 400)
  await work()
  clearInterval(timer)
  return most
}

const options = (path: string, method: string, headers: Record<string, string> = {}) => ({
  host: '127.0.0.1',
  port: regions.us.port,
  path,
  method,
  headers: { apikey: regions.world.system.keyOf('umbrella'), ...headers },
})

test('a request of 200 MB goes home in bounded memory', async () => {
  const chunk = Buffer.alloc(MB, 'x')
  const hash = createHash('sha256')
  let answer = ''
  const growth = await growthOf(async () => {
    await new Promise<void>((resolve, reject) => {
      const length = String(SIZE_MB * MB)
      const req = request(options('/probe/upload', 'POST', { 'content-length': length }), (res) => {
        res.setEncoding('utf8').on('data', (text) => {
          answer += text
        })
        res.on('end', resolve)
      })
      req.on('error', reject)
      void (async () => {
        for (let n = 0; n < SIZE_MB; n++) {
          hash.update(chunk)
          if (!req.write(chunk)) await new Promise((drained) => req.once('drain', drained))
        }
        req.end()
      })()
    })
  })
  expect(JSON.parse(answer)).toEqual({ bytes: SIZE_MB * MB, sha256: hash.digest('hex') })
  expect(growth).toBeLessThan(GROWTH_BYTES_MAX)
}, 60_000)

test('an answer of 200 MB comes back in bounded memory, also to a client that stops reading for a while', async () => {
  let bytes = 0
  let ahead = 0
  let stillComing = 0
  const before = regions.taps.eu.answered
  const growth = await growthOf(async () => {
    await new Promise<void>((resolve, reject) => {
      const req = request(options(`/probe/download/${SIZE_MB}`, 'GET'), (res) => {
        res.on('data', (chunk: Buffer) => {
          const isHalf = bytes < (SIZE_MB * MB) / 2 && bytes + chunk.length >= (SIZE_MB * MB) / 2
          bytes += chunk.length
          if (!isHalf) return
          res.pause()
          const aheadNow = () => regions.taps.eu.answered - before - bytes
          void sleep(1_500).then(async () => {
            const filled = aheadNow()
            await sleep(1_500)
            ahead = aheadNow()
            stillComing = ahead - filled
            res.resume()
          })
        })
        res.on('end', resolve).on('error', reject)
      })
      req.on('error', reject).end()
    })
  })
  expect(bytes).toBe(SIZE_MB * MB)
  expect(stillComing).toBeLessThan(4 * MB)
  expect(ahead).toBeLessThan(AHEAD_BYTES_MAX)
  expect(growth).toBeLessThan(GROWTH_BYTES_MAX)
}, 60_000)

test('a length above what the tier allows is refused here, before a byte is sent home', async () => {
  const { made } = regions.taps.eu.connections()
  const status = await new Promise((resolve, reject) => {
    const req = request(options('/probe/upload', 'POST', { 'content-length': String(300 * MB) }), (res) => {
      resolve(res.statusCode)
      req.destroy()
    })
    req.on('error', reject)
    req.flushHeaders()
  })
  expect(status).toBe(413)
  expect(regions.taps.eu.connections().made).toBe(made)
})

test('a head does not wait for its body', async () => {
  const [headMs, text] = await new Promise<[number, string]>((resolve, reject) => {
    const startedAt = performance.now()
    const req = request(options('/probe/late/1', 'GET'), (res) => {
      const ms = performance.now() - startedAt
      res.setEncoding('utf8').on('data', (data) => resolve([ms, data]))
    })
    req.on('error', reject).end()
  })
  expect(text).toBe('data: late\n\n')
  expect(headMs).toBeLessThan(800 * BUSY)
})
