import { serve } from '@hono/node-server'
import type { Hono } from 'hono'
import * as schema from '../../config/schema.ts'
import { createAdminApi } from '../../gateway/admin/api.ts'
import type { AdminApiOptions } from '../../gateway/admin/env.ts'
import type { Product } from '../../gateway/product.ts'
import { createTelemetry } from '../../gateway/telemetry/telemetry.ts'
import type { TestSystem } from './system.ts'

export interface TestAdmin {
  readonly app: Hono
  readonly token: string
  /** What was logged, as objects. */
  readonly lines: Record<string, unknown>[]
  /** Calls the API in this process. The body is sent as JSON; a string as it is. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  /** Makes it reachable by the network. @returns its URL */
  listen(): Promise<string>
  close(): Promise<void>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever came
  readonly body: any
}

/** The admin API over a test system. */
export async function startTestAdmin(system: TestSystem, options: Partial<AdminApiOptions> = {}): Promise<TestAdmin> {
  const lines: Record<string, unknown>[] = []
  const logTo = {
    write(line: string) {
      lines.push(JSON.parse(line))
    },
  }
  const telemetry = createTelemetry(system.config.telemetry, { service: 'innkeeper-control', region: 'all', logTo })
  const tenants = await system.openTenants()
  const product: Product = {
    folder: '',
    config: system.input,
    schema,
    references: [],
    routes: null,
    migrationsFolder: system.migrationsFolder,
    isDemo: true,
  }
  const app = createAdminApi({
    config: system.config,
    control: system.control,
    telemetry,
    product,
    tenantSql: (tenant, statement) => tenants.session(tenant).execute(statement),
    ...options,
  })
  const token = system.env.INNKEEPER_ADMIN_TOKEN!
  const undo: (() => Promise<unknown>)[] = [() => telemetry.shutdown()]
  return {
    app,
    token,
    lines,
    async call(method, path, body, headers = {}) {
      const response = await app.request(path, {
        method,
        headers: { authorization: `Bearer ${token}`, ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.text()
      const isJson = /[/+]json$/.test(response.headers.get('content-type')?.split(';')[0] ?? '')
      return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
    },
    async listen() {
      const { promise, resolve } = Promise.withResolvers<number>()
      const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => resolve(port))
      undo.push(() => new Promise((done) => server.close(done)))
      return `http://127.0.0.1:${await promise}`
    },
    async close() {
      for (const step of undo.splice(0).reverse()) await step()
    },
  }
}
