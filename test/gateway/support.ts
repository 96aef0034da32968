import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import type { Hono } from 'hono'
import type { ConfigInput } from '../../config/index.ts'
import { loadProduct } from '../../gateway/product.ts'
import { type RunningGateway, startGateway } from '../../gateway/serve.ts'
import { startTestSystem, type TestRegion, type TestSystem, type TestSystemOptions } from '../support/system.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
  readonly json: any
}

export interface Ask {
  readonly method?: string
  readonly headers?: Record<string, string | string[]>
  readonly body?: string | Buffer
  /** Whose key is sent; null for none. */
  readonly as?: string | null
}

/** A gateway over a whole system, as a deployment has it, and a client that sends exactly what it is told. */
export interface TestGateway extends RunningGateway {
  readonly port: number
  readonly logs: Record<string, unknown>[]
  /** A path without the tenant: the key alone names it. */
  ask(path: string, options?: Ask): Promise<Answer>
}

export interface World {
  readonly system: TestSystem
  gateway(region?: TestRegion, options?: GatewayOptions): Promise<TestGateway>
  close(): Promise<void>
}

export interface GatewayOptions {
  /** The application's own endpoints, in place of the demo's. */
  readonly routes?: Hono
  readonly env?: Readonly<Record<string, string>>
  readonly configure?: (input: ConfigInput) => ConfigInput
}

/** Limits that no test reaches by accident. */
const WIDE = { requestsPerSecond: 1e6, burst: 1e6, concurrency: 1e4, statementTimeoutMs: 3_000 }

export function wideLimits(input: ConfigInput): ConfigInput {
  const tiers = Object.fromEntries(
    Object.entries(input.tiers).map(([name, tier]) => [name, { ...tier, limits: { ...tier.limits, ...WIDE } }]),
  )
  return { ...input, tiers }
}

export async function startWorld(options: TestSystemOptions = {}): Promise<World> {
  const configure = options.configure ?? ((i: ConfigInput) => i)
  const system = await startTestSystem({ ...options, configure: (i) => configure(wideLimits(i)) })
  const gateways: RunningGateway[] = []
  return {
    system,
    async gateway(region = 'us', { routes, env = system.env, configure = (i: ConfigInput) => i } = {}) {
      const logs: Record<string, unknown>[] = []
      const product = await loadProduct(null)
      const gateway = await startGateway({
        configFolder: null,
        region,
        port: 0,
        host: '127.0.0.1',
        env,
        product: { ...product, config: configure(system.input), ...(routes ? { routes } : {}) },
        logTo: { write: (line: string) => void logs.push(JSON.parse(line)) },
      })
      gateways.push(gateway)
      const port = Number(new URL(gateway.url).port)
      return {
        ...gateway,
        port,
        logs,
        ask: (path, { as, headers = {}, ...rest } = {}) =>
          send(port, path, { ...rest, headers: as ? { apikey: system.keyOf(as), ...headers } : headers }),
      }
    },
    async close() {
      await Promise.all(gateways.map((g) => g.close()))
      await system.close()
    },
  }
}

/** `fetch` would normalise the path, and refuse some headers. */
export function send(port: number, path: string, { method = 'GET', headers = {}, body }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = { host: `localhost:${port}`, ...headers }
    const req = httpRequest({ host: '127.0.0.1', port, path, method, headers: sent, agent: false }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk) => chunks.push(chunk))
      res.on('error', reject)
      res.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: res.statusCode!, headers: res.headers, text, json: parsed(text) })
      })
    })
    req.on('error', reject)
    req.end(body)
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a schema without types, as a newcomer has it
export type Client = SupabaseClient<any, 'public', any>

/** The official client, as its documentation tells to make it. */
export function supabase(world: World, gateway: RunningGateway, slug: string): Client {
  return createClient(`${gateway.url}/t/${slug}`, world.system.keyOf(slug), {
    auth: { persistSession: false, autoRefreshToken: false },
  })
}

/** What must never reach a client: how and where its rows are kept. */
export const SECRETS =
  /tenant_id|tenancy\.|innkeeper_(?:shared|schemas|d_|app|control|region)|\br_[0-9a-f]{20}\b|\bus-1\b|\beu-1\b|select\s+.*\bfrom\b|insert into|\bat .*\.(?:ts|js):\d+|node_modules|\{room\}|postgres:\/\//i
