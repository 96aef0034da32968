import { serve } from '@hono/node-server'
import { eq, sql as text } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Hono } from 'hono'
import pg from 'pg'
import postgres from 'postgres'
import type { ConfigInput } from '../../config/index.ts'
import { benchCustomers, TENANT } from './alternatives.ts'
import { startBenchGateway } from './gateway.ts'

/**
 * One of the servers that the HTTP bench compares, in a process of its own; it prints its port. All of them answer
 * `GET /v1/customers/ID` with the same rows as JSON.
 */
const job = JSON.parse(process.env.BENCH_JOB!) as {
  readonly kind: 'gateway' | 'bare' | 'drizzle'
  readonly url: string
  readonly input: ConfigInput
  readonly env: Record<string, string>
}
const CONNECTIONS = 32

async function start(): Promise<number> {
  if (job.kind === 'gateway') return startBenchGateway('us', job)
  const app = job.kind === 'bare' ? bareApp() : drizzleApp()
  const { promise, resolve } = Promise.withResolvers<number>()
  serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => resolve(port))
  return promise
}

function bareApp(): Hono {
  const sql = postgres(job.url, { max: CONNECTIONS })
  return new Hono().get('/v1/customers/:id', async (c) =>
    c.json(
      await sql`select id, name, email from bench.customers where tenant_id = ${TENANT} and id = ${c.req.param('id')}`,
    ),
  )
}

function drizzleApp(): Hono {
  const db = drizzle(new pg.Pool({ connectionString: job.url, max: CONNECTIONS }))
  const { id, name, email } = benchCustomers
  return new Hono().get('/v1/customers/:id', async (c) =>
    c.json(
      await db.transaction(async (tx) => {
        await tx.execute(text`select set_config('app.tenant', ${TENANT}, true)`)
        return tx
          .select({ id, name, email })
          .from(benchCustomers)
          .where(eq(id, Number(c.req.param('id'))))
      }),
    ),
  )
}

console.log(await start())
process.stdin.on('end', () => process.exit(0)).resume()
