import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Config, resolveConfig, secret } from '../../config/index.ts'
import input from '../../config/innkeeper.config.ts'
import * as schema from '../../config/schema.ts'
import { type ControlPlane, openControlPlane } from '../../tiers/control/control-plane.ts'
import { type OpenTenants, openTenants } from '../../tiers/open-tenants.ts'
import { BUSY } from '../support/busy.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

/** One region of two clusters, each a server of its own. */
const CLUSTERS = ['us-1', 'us-2'] as const

let servers: Record<(typeof CLUSTERS)[number], TestPostgres>
let control: ControlPlane
let tenants: OpenTenants<typeof schema>
beforeAll(async () => {
  const [first, second] = await Promise.all(
    CLUSTERS.map(() => startTestPostgres({ settings: { synchronous_commit: 'on' } })),
  )
  servers = { 'us-1': first!, 'us-2': second! }
  const config = (role: Parameters<typeof resolveConfig>[1]): Config => {
    const cluster = (n: number) => ({ url: secret(`US_${n}_URL`), adminUrl: secret(`US_${n}_ADMIN_URL`) })
    const clusters = { 'us-1': cluster(1), 'us-2': cluster(2) }
    const regions = { us: { ...input.regions.us!, clusters } }
    return resolveConfig({ ...input, regions, residency: { profiles: {} } }, role, env)
  }
  const env: Record<string, string> = {
    INNKEEPER_CONTROL_URL: first!.server.url('innkeeper_control'),
    INNKEEPER_DIRECTORY_URL: first!.server.url('innkeeper_control', 'innkeeper_directory', 'reader-secret'),
    INNKEEPER_ADMIN_TOKEN: randomBytes(24).toString('hex'),
    INNKEEPER_SIGNING_KEY: randomBytes(32).toString('base64'),
    INNKEEPER_US_KEY: randomBytes(32).toString('base64'),
  }
  for (const [n, { server }] of [first!, second!].entries()) {
    env[`US_${n + 1}_URL`] = server.url('postgres', 'innkeeper_app', 'app-secret')
    env[`US_${n + 1}_ADMIN_URL`] = server.url()
  }
  const migrationsFolder = fileURLToPath(new URL('../../config/migrations/', import.meta.url))
  control = openControlPlane({ config: config({ kind: 'control' }), migrationsFolder })
  await control.install()
  tenants = await openTenants(config({ kind: 'gateway', region: 'us' }), { schema })
})
afterAll(async () => {
  await tenants?.close(0)
  await control?.close()
  await Promise.all(Object.values(servers ?? {}).map((s) => s.stop()))
})

const portOf = async (slug: string) => {
  const { rows } = (await tenants.for(slug).execute(sql`select inet_server_port() as port`)) as unknown as {
    rows: { port: number }[]
  }
  return rows[0]!.port
}

test('new tenants are spread over the clusters, and each is found on its own', async () => {
  const placed: Record<string, string[]> = { 'us-1': [], 'us-2': [] }
  for (let n = 0; n < 6; n++) {
    const slug = `spread-${n}`
    const { placement } = await control.createTenant({
      slug,
      tier: ['free', 'pro', 'enterprise'][n % 3]!,
      region: 'us',
    })
    placed[placement!.cluster]!.push(slug)
    expect(await portOf(slug)).toBe(servers[placement!.cluster as 'us-1'].server.port)
  }
  expect(placed['us-1']).toHaveLength(3)
  expect(placed['us-2']).toHaveLength(3)
})

test('the end of one cluster is none of the other one’s', async () => {
  const all = await control.tenants({ limit: 10 })
  const [here, there] = CLUSTERS.map((c) => all.filter((t) => t.placement!.cluster === c).map((t) => t.slug))
  servers['us-2'].server.kill('SIGKILL')
  await new Promise((r) => setTimeout(r, 100))
  for (const slug of here!) expect(await portOf(slug)).toBe(servers['us-1'].server.port)
  for (const slug of there!) {
    const failure = await portOf(slug).catch((error) => error)
    expect(failure).toMatchObject({ code: 'cluster_unavailable' })
  }
  await servers['us-2'].server.restart()
  for (const slug of there!) {
    await expect.poll(() => portOf(slug).catch(() => 0), { timeout: 3_000 * BUSY }).toBe(servers['us-2'].server.port)
  }
})
