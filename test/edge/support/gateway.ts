import { request as httpRequest, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Hono } from 'hono'
import type { Config, ConfigInput } from '../../../config/index.ts'
import { defineConfig, resolveConfig, secret } from '../../../config/index.ts'
import { publicKeyOf } from '../../../config/x25519.ts'
import { createEdge, type Edge, type EdgeOptions } from '../../../gateway/edge/edge.ts'
import type { GatewayEnv } from '../../../gateway/edge/env.ts'
import { whoami } from '../../../gateway/edge/whoami.ts'
import { createTelemetry, type Telemetry } from '../../../gateway/telemetry/telemetry.ts'
import { World } from './world.ts'

/** A gateway's edge on a real port, over an in-memory directory and key store, with routes that say what they saw. */
export interface TestGateway {
  readonly url: string
  readonly port: number
  readonly edge: Edge
  readonly world: World
  readonly telemetry: Telemetry
  readonly logs: Record<string, unknown>[]
  readonly app: Hono<GatewayEnv>
  ask(path: string, headers?: Headers_, options?: AskOptions): Promise<Answer>
  close(): Promise<void>
}

type Headers_ = Record<string, string | string[]>

export interface AskOptions {
  readonly method?: string
  readonly body?: string
  /** Header lines as they go on the wire, duplicates and all; then no Host is added. */
  readonly rawHeaders?: string[]
  /** The request target as it goes on the wire. */
  readonly localAddress?: string
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
  readonly json: any
}

export interface GatewayOptions extends Partial<Omit<EdgeOptions, 'config' | 'telemetry'>> {
  readonly config?: Partial<ConfigInput>
  readonly region?: string
  readonly world?: World
  readonly routes?: (app: Hono<GatewayEnv>) => void
}

const ENV = {
  CONTROL: 'postgres://localhost/control',
  KEY_US: Buffer.alloc(32, 7).toString('base64'),
  KEY_EU: Buffer.alloc(32, 8).toString('base64'),
  CLUSTER: 'postgres://localhost/us',
  PEERING_US: Buffer.alloc(32, 1).toString('base64'),
  PEERING_EU: Buffer.alloc(32, 2).toString('base64'),
}

/** What a region of {@link testConfig} adds where it forwards. */
export const peeringOf = (region: 'us' | 'eu') => ({
  key: secret(`PEERING_${region.toUpperCase()}`),
  publicKeys: [publicKeyOf(Buffer.alloc(32, region === 'us' ? 1 : 2)).toString('base64')],
})

export function testConfig(overrides: Partial<ConfigInput> = {}, region = 'us'): Config {
  const cluster = (name: string) => ({ [name]: { url: secret('CLUSTER'), adminUrl: secret('CLUSTER') } })
  const input = defineConfig({
    control: { url: secret('CONTROL') },
    regions: {
      us: { url: 'http://us.example.com', key: secret('KEY_US'), clusters: cluster('us-1') },
      eu: { url: 'http://eu.example.com', key: secret('KEY_EU'), clusters: cluster('eu-1') },
    },
    tiers: {
      free: {
        isolation: 'shared',
        limits: { requestsPerSecond: 1e6, burst: 1e6, concurrency: 1e4, bodyBytesMax: 2048 },
      },
      pro: { isolation: 'schema', limits: { requestsPerSecond: 1e6, burst: 1e6, concurrency: 1e4 } },
    },
    identify: { baseDomains: ['localhost', 'example.com'] },
    telemetry: { logLevel: 'info' },
    ...overrides,
  })
  return resolveConfig(input, { kind: 'gateway', region }, ENV)
}

export async function startGateway(options: GatewayOptions = {}): Promise<TestGateway> {
  const { config: overrides, region = 'us', world = new World(), routes, ...edgeOptions } = options
  const config = testConfig(overrides, region)
  const logs: Record<string, unknown>[] = []
  const telemetry = createTelemetry(config.telemetry, {
    service: 'test',
    region,
    logTo: { write: (line: string) => logs.push(JSON.parse(line)) },
  })
  const edge = createEdge({ config, telemetry, directory: world, keys: world, ...edgeOptions })
  const app = new Hono<GatewayEnv>({ getPath: edge.getPath })
  for (const m of edge.middleware) app.use(m)
  app.get('/v1/whoami', whoami)
  app.all('/echo', async (c) => c.json({ path: c.req.path, tenant: c.get('tenant').slug, body: await c.req.text() }))
  app.get('/big', (c) => c.json({ text: 'innkeeper '.repeat(1000) }))
  app.get('/boom', () => {
    throw new Error('relation "secret_table" does not exist')
  })
  routes?.(app)
  app.onError(edge.onError)
  app.notFound(edge.notFound)
  const server = edge.createServer(app.fetch)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    edge,
    world,
    telemetry,
    logs,
    app,
    ask: (path, headers = {}, more = {}) => ask(port, path, headers, more),
    close: () => closeAll(server, edge, telemetry),
  }
}

async function closeAll(server: Server, edge: Edge, telemetry: Telemetry): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await edge.close()
  await telemetry.shutdown()
}

/** Sends exactly what it is given: `fetch` would normalise paths, and refuse to set Host. */
function ask(port: number, path: string, headers: Headers_, options: AskOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', body, rawHeaders } = options
    const sent =
      rawHeaders ??
      Object.entries({ host: `localhost:${port}`, ...headers }).flatMap(([n, v]) => [v].flat().flatMap((w) => [n, w]))
    const req = httpRequest(
      { host: '127.0.0.1', port, path, method, headers: sent, agent: false, setHost: false },
      (res) => {
        const chunks: Buffer[] = []
        res.on('data', (chunk) => chunks.push(chunk))
        res.on('end', () => {
          const raw = Buffer.concat(chunks)
          const text = raw.toString()
          let json: unknown
          try {
            json = JSON.parse(text)
          } catch {
            json = undefined
          }
          resolve({ status: res.statusCode!, headers: res.headers, text, json })
        })
        res.on('error', reject)
      },
    )
    req.on('error', reject)
    req.end(body)
  })
}
