import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type Config, type ConfigInput, resolveConfig } from '../../config/index.ts'
import input from '../../config/innkeeper.config.ts'
import * as schema from '../../config/schema.ts'
import { publicKeyOf } from '../../config/x25519.ts'
import { type ControlPlane, openControlPlane } from '../../tiers/control/control-plane.ts'
import type { MoveSettings } from '../../tiers/move/context.ts'
import { type OpenTenants, openTenants } from '../../tiers/open-tenants.ts'
import { withAdmin } from '../../tiers/pg/admin.ts'
import { type PostgresVersion, startTestPostgres, type TestPostgres } from './postgres.ts'

export type TestRegion = 'us' | 'eu'

export interface TestTenant {
  readonly slug: string
  readonly tier: 'free' | 'pro' | 'enterprise'
  readonly region: TestRegion
}

/** One tenant on each isolation model. */
export const US_TENANTS: readonly TestTenant[] = [
  { slug: 'acme', tier: 'free', region: 'us' },
  { slug: 'hooli', tier: 'pro', region: 'us' },
  { slug: 'initech', tier: 'enterprise', region: 'us' },
]
export const EU_TENANTS: readonly TestTenant[] = [
  { slug: 'umbrella', tier: 'free', region: 'eu' },
  { slug: 'globex', tier: 'pro', region: 'eu' },
  { slug: 'stark', tier: 'enterprise', region: 'eu' },
]

export interface TestSystemOptions {
  /** `['us']` where left out. The first one's server holds the control database too. */
  readonly regions?: readonly TestRegion[]
  readonly version?: PostgresVersion
  /** {@link US_TENANTS}, and {@link EU_TENANTS} with that region, where left out. */
  readonly tenants?: readonly TestTenant[]
  /** Of PostgreSQL. */
  readonly settings?: Record<string, string | number>
  /** Changes the demo's configuration before it is resolved. */
  readonly configure?: (input: ConfigInput) => ConfigInput
  readonly moveSettings?: Partial<MoveSettings>
  /** `managed`: like those of a hosted server, which may make roles and databases and is no superuser. */
  readonly adminRole?: 'superuser' | 'managed'
  /** The control database has a server of its own, so that it can fail alone. */
  readonly ownControlServer?: boolean
  /** Of the application; the demo's where left out. */
  readonly migrationsFolder?: string
  /** Secrets beside the usual ones. */
  readonly env?: Readonly<Record<string, string>>
  /** In place of a plain server: one with a replica, say. */
  readonly startServer?: (region: TestRegion) => Promise<TestPostgres>
}

export interface TestSystem {
  /** The control plane's: with the credentials of every region. */
  readonly config: Config
  readonly input: ConfigInput
  readonly control: ControlPlane
  /** Every secret of the configuration, by the name of its environment variable. */
  readonly env: Readonly<Record<string, string>>
  readonly servers: ReadonlyMap<TestRegion, TestPostgres>
  /** Where the control database is: the first region's, or one of its own. */
  readonly controlServer: TestPostgres
  readonly migrationsFolder: string
  /** The configuration of a region's gateway, with that region's credentials only. */
  gatewayConfig(region?: TestRegion): Config
  /** The one interface; over all regions where none is named. Closed with the system at the latest. */
  openTenants(region?: TestRegion): Promise<OpenTenants<typeof schema>>
  /** An API key of the tenant, for reading and writing. */
  keyOf(slug: string): string
  close(): Promise<void>
}

const CLUSTER_OF: Record<TestRegion, string> = { us: 'US_1', eu: 'EU_1' }

/**
 * Starts a whole data layer on real servers, one for each region, and makes tenants in it. Regions have servers of their
 * own because roles belong to a server and the names of databases are the same on every cluster.
 */
export async function startTestSystem(options: TestSystemOptions = {}): Promise<TestSystem> {
  const { regions = ['us'], version, settings, configure = (i) => i } = options
  const tenants = options.tenants ?? [...US_TENANTS, ...EU_TENANTS].filter((t) => regions.includes(t.region))
  const starting = { ...(version && { version }), ...(settings && { settings }) }
  const servers = new Map(
    await Promise.all(
      regions.map(
        async (r): Promise<[TestRegion, TestPostgres]> => [
          r,
          await (options.startServer?.(r) ?? startTestPostgres(starting)),
        ],
      ),
    ),
  )
  const controlServer = options.ownControlServer ? await startTestPostgres(starting) : servers.get(regions[0]!)!
  const stopServers = () => Promise.all([...new Set([...servers.values(), controlServer])].map((s) => s.stop()))
  const undo: (() => Promise<unknown>)[] = [stopServers]
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    const env = {
      ...environmentOf(servers, controlServer),
      ...(await adminUrls(servers, options.adminRole)),
      ...options.env,
    }
    const own = configure({
      ...input,
      regions: Object.fromEntries(regions.map((r) => [r, input.regions[r]!])),
      residency: { profiles: profilesWithin(regions) },
    })
    const config = resolveConfig(own, { kind: 'control' }, env)
    const gatewayConfig = (region: TestRegion = regions[0]!) => resolveConfig(own, { kind: 'gateway', region }, env)
    const migrationsFolder =
      options.migrationsFolder ?? fileURLToPath(new URL('../../config/migrations/', import.meta.url))
    const { moveSettings = {} } = options
    const control = openControlPlane({ config, migrationsFolder, moveSettings })
    undo.push(() => control.close())
    await control.install()
    const keys = new Map<string, string>()
    for (const tenant of tenants) {
      const { id } = await control.createTenant(tenant)
      const { text } = await control
        .keysOf(tenant.region)
        .create(id, { name: 'test', scopes: ['read', 'write'], expiresAt: null })
      keys.set(tenant.slug, text)
    }
    return {
      config,
      input: own,
      control,
      env,
      servers,
      controlServer,
      migrationsFolder,
      gatewayConfig,
      async openTenants(region) {
        const opened = await openTenants(region === undefined ? config : gatewayConfig(region), { schema })
        let closed: Promise<void> | null = null
        const closeOnce = (drainMs = 0) => {
          closed ??= opened.close(drainMs)
          return closed
        }
        undo.push(closeOnce)
        return { ...opened, close: closeOnce }
      },
      keyOf(slug) {
        const key = keys.get(slug)
        if (key === undefined) throw new Error(`The test system has no tenant ${slug}`)
        return key
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** A profile that names a region which is not there is a fault. */
function profilesWithin(regions: readonly string[]) {
  const all = Object.entries(input.residency?.profiles ?? {})
  return Object.fromEntries(all.filter(([, profile]) => profile.regions.every((r) => regions.includes(r))))
}

async function adminUrls(servers: ReadonlyMap<TestRegion, TestPostgres>, role = 'superuser') {
  const urls: Record<string, string> = {}
  if (role === 'superuser') return urls
  for (const [region, { server }] of servers) {
    await withAdmin(server.url(), null, {}, (sql) =>
      sql.unsafe(`create role managed_admin login createrole createdb password 'managed-secret'`),
    )
    urls[`INNKEEPER_${CLUSTER_OF[region]}_ADMIN_URL`] = server.url('postgres', 'managed_admin', 'managed-secret')
  }
  return urls
}

function environmentOf(
  servers: ReadonlyMap<TestRegion, TestPostgres>,
  { server: control }: TestPostgres,
): Record<string, string> {
  const env: Record<string, string> = {
    INNKEEPER_CONTROL_URL: control.url('innkeeper_control'),
    INNKEEPER_DIRECTORY_URL: control.url('innkeeper_control', 'innkeeper_directory', 'reader-secret'),
    INNKEEPER_ADMIN_TOKEN: randomBytes(24).toString('hex'),
    INNKEEPER_SIGNING_KEY: randomBytes(32).toString('base64'),
  }
  for (const [region, { server }] of servers) {
    env[`INNKEEPER_${region.toUpperCase()}_KEY`] = randomBytes(32).toString('base64')
    const peeringKey = randomBytes(32)
    env[`INNKEEPER_${region.toUpperCase()}_PEERING_KEY`] = peeringKey.toString('base64')
    env[`INNKEEPER_${region.toUpperCase()}_PEERING_PUBLIC_KEY`] = publicKeyOf(peeringKey).toString('base64')
    env[`INNKEEPER_${region.toUpperCase()}_MOVER_CONTROL_URL`] = control.url(
      'innkeeper_control',
      `innkeeper_mover_${region}`,
      `mover-secret-${region}`,
    )
    env[`INNKEEPER_${CLUSTER_OF[region]}_URL`] = server.url('postgres', 'innkeeper_app', 'app-secret')
    env[`INNKEEPER_${CLUSTER_OF[region]}_ADMIN_URL`] = server.url()
  }
  return env
}
