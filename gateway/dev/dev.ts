import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseConfig } from '../../config/resolve.ts'
import type { ParsedConfig } from '../../config/shape.ts'
import type { ControlPlane } from '../../tiers/control/control-plane.ts'
import { type RunningControl, startControl } from '../control.ts'
import { loadProduct, type Product } from '../product.ts'
import { releasers } from '../releasers.ts'
import { type RunningGateway, startGateway } from '../serve.ts'
import { advanceSequences, seedTenant } from './demo/seed.ts'
import { DEMO_TENANTS } from './demo/tenants.ts'
import { devEnvironment, devSecrets, writePrivately } from './environment.ts'
import { takeState } from './lock.ts'
import { removeLocalPostgres } from './postgres/remove.ts'
import { startLocalPostgres } from './postgres/server.ts'
import type { LocalPostgres } from './postgres/types.ts'
import { type Progress, progressOn } from './progress.ts'
import { onStop } from './stop.ts'
import { type DemoFile, type DemoTenantEntry, summaryOf } from './summary.ts'

export interface DevOptions {
  readonly port: number
  readonly adminPort: number
  /** The folder that keeps the data between starts. */
  readonly state: string
  /** Begins with an empty state folder. */
  readonly reset: boolean
  /** False starts without tenants. */
  readonly demo: boolean
  readonly configFolder: string | null
}

/**
 * A whole system on this machine: PostgreSQL servers, the control plane, a gateway for each region, and the demo's
 * tenants. Returns when it has been stopped; nothing is left running then.
 */
export async function runDev(options: DevOptions): Promise<void> {
  const state = resolve(options.state)
  const progress = progressOn(process.stderr)
  const stop = onStop()
  const closers = releasers()
  try {
    await mkdir(state, { recursive: true, mode: 0o700 })
    const release = await takeState(state)
    closers.add('state', release)
    const product = await loadProduct(options.configFolder)
    const config = localConfig(product, options.port)
    if (options.reset) await reset(state, serverNames(config), progress)

    const servers = await startServers(state, serverNames(config), progress)
    for (const server of servers.values()) {
      closers.add(`PostgreSQL ${server.name}`, () => server.stop(stop.hurry() ? 'immediate' : 'fast'))
    }
    const secrets = await devSecrets(state, Object.keys(config.regions))
    const log = createWriteStream(join(state, 'innkeeper.log'), { flags: 'a', mode: 0o600 })
    closers.add('log', () => new Promise((done) => log.end(done)))
    const system = {
      configFolder: options.configFolder,
      env: devEnvironment(config, servers, secrets),
      product: { ...product, config },
      logTo: log,
    }

    const running = await startControl({
      ...system,
      port: options.adminPort,
      onStep: (s) => progress.step(`installing: ${s}`),
    })
    closers.add('control plane', running.close)
    const gateways = new Map<string, RunningGateway>()
    for (const [i, region] of Object.keys(config.regions).entries()) {
      const gateway = await startGateway({
        ...system,
        region,
        port: options.port === 0 ? 0 : options.port + i,
        host: 'localhost',
      })
      closers.add(`gateway ${region}`, gateway.close)
      gateways.set(region, gateway)
    }
    const tenants = options.demo ? await demoTenants(running, product, gateways, state, progress) : []
    const demo: DemoFile = {
      adminUrl: running.url,
      adminToken: secrets.adminToken,
      gateways: Object.fromEntries([...gateways].map(([region, g]) => [region, g.url])),
      tenants,
    }
    // Last and at once: whoever waits for the file finds everything ready.
    await writePrivately(join(state, 'demo.json'), `${JSON.stringify(demo, null, 2)}\n`)
    progress.done('ready')
    process.stdout.write(summaryOf(demo, options.state))
    await stop.asked
    process.stderr.write('\nstopping...\n')
  } finally {
    await closers.releaseAll()
    stop.end()
  }
}

/** The product's configuration with the addresses of this machine. */
function localConfig(product: Product, port: number): ParsedConfig {
  const parsed = parseConfig(product.config)
  const regions = Object.fromEntries(
    Object.entries(parsed.regions).map(([name, region], i) => {
      const { redisUrl: _, keyPrevious: __, ...rest } = region
      return [name, { ...rest, url: `http://localhost:${port === 0 ? 80 : port + i}` }]
    }),
  )
  // Short enough for a stop within the promised time; logs go to a file, so the terminal stays readable.
  return { ...parsed, regions, http: { ...parsed.http, drainMs: Math.min(parsed.http.drainMs, 3_000) } }
}

function serverNames(config: ParsedConfig): string[] {
  return ['control', ...Object.values(config.regions).flatMap((r) => Object.keys(r.clusters))]
}

const dataOf = (state: string, name: string) => join(state, 'postgres', name)

async function reset(state: string, names: readonly string[], progress: Progress): Promise<void> {
  progress.step('removing the old state')
  await Promise.all(names.map((name) => removeLocalPostgres(dataOf(state, name))))
  for (const name of ['demo.json', 'secrets.json', 'postgres'])
    await rm(join(state, name), { recursive: true, force: true })
}

async function startServers(
  state: string,
  names: readonly string[],
  progress: Progress,
): Promise<Map<string, LocalPostgres>> {
  progress.step(`starting ${names.length} PostgreSQL servers`)
  const started = await Promise.allSettled(
    names.map((name) =>
      startLocalPostgres({
        name,
        dataDir: dataOf(state, name),
        settings: { max_connections: 200 },
        onProgress: (text) => progress.step(`PostgreSQL ${name}: ${text}`),
      }),
    ),
  )
  const servers = started.flatMap((s) => (s.status === 'fulfilled' ? [s.value] : []))
  const failed = started.find((s) => s.status === 'rejected')
  if (failed !== undefined) {
    await Promise.allSettled(servers.map((s) => s.stop()))
    throw failed.reason
  }
  return new Map(servers.map((s) => [s.name, s]))
}

async function demoTenants(
  { control, tenants }: RunningControl,
  product: Product,
  gateways: ReadonlyMap<string, RunningGateway>,
  state: string,
  progress: Progress,
): Promise<DemoTenantEntry[]> {
  const known = await keptKeys(state)
  const config = parseConfig(product.config)
  const fitting = DEMO_TENANTS.filter((t) => t.region in config.regions && t.tier in config.tiers)
  const entries: DemoTenantEntry[] = []
  for (const { slug, tier, region } of fitting) {
    progress.step(`tenant ${slug}: a room of model ${config.tiers[tier]!.isolation}`)
    const tenant = await tenantOf(control, slug, tier, region)
    if (product.isDemo) {
      progress.step(`tenant ${slug}: its data`)
      if ((await seedTenant(tenants, slug)) > 0) {
        await advanceSequences(control.makerOf(tenant.placement!.cluster), tenant.placement!)
      }
    }
    entries.push({
      slug,
      tier: tenant.tier,
      isolation: tenant.placement!.isolation,
      region,
      apiKey: await keyOf(control, tenant.id, region, known.get(slug)),
      url: `${gateways.get(region)!.url}/t/${slug}`,
    })
  }
  return entries
}

async function tenantOf(control: ControlPlane, slug: string, tier: string, region: string) {
  const made = await control.store.get(slug)
  return made?.status === 'active' ? made : control.createTenant({ slug, tier, region, idempotencyKey: `demo-${slug}` })
}

/** The key of the last start, while it is good; a key's text is shown once, so a lost one is replaced. */
async function keyOf(
  control: ControlPlane,
  id: Parameters<ReturnType<ControlPlane['keysOf']>['list']>[0],
  region: string,
  known: string | undefined,
): Promise<string> {
  const keys = control.keysOf(region)
  const good = (await keys.list(id)).some((k) => k.name === 'demo' && k.revokedAt === null)
  if (known !== undefined && good) return known
  return (await keys.create(id, { name: 'demo', scopes: ['read', 'write'], expiresAt: null })).text
}

async function keptKeys(state: string): Promise<Map<string, string>> {
  try {
    const { tenants } = JSON.parse(await readFile(join(state, 'demo.json'), 'utf8')) as DemoFile
    return new Map(tenants.map((t) => [t.slug, t.apiKey]))
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return new Map()
    throw error
  }
}
