import { randomBytes } from 'node:crypto'
import { copyFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Config, type ConfigInput, resolveConfig } from '../../../config/index.ts'
import input from '../../../config/innkeeper.config.ts'
import { type ControlPlane, openControlPlane } from '../../../tiers/control/control-plane.ts'
import { type AdminSql, adminSql } from '../../../tiers/pg/admin.ts'
import { ISOLATIONS, type Isolation, type Tenant } from '../../../tiers/types.ts'
import { type PostgresVersion, startTestPostgres, type TestPostgres } from '../../support/postgres.ts'
import { temporaryFolder } from '../../support/temporary.ts'

export const CLUSTER = 'us-1'
const TIER: Record<Isolation, string> = { shared: 'free', schema: 'pro', database: 'enterprise' }
const FOLDERS = ['../../../config/migrations/', '../../contract/'].map((f) =>
  fileURLToPath(new URL(f, import.meta.url)),
)

/** Two tenants for each isolation model; `b` has what `a` must never reach. */
export interface Pair {
  readonly a: Tenant
  readonly b: Tenant
}

/** One server with a control plane and its tenants, made with a product's own migrations: the demo's and the probes'. */
export interface Lab {
  readonly postgres: TestPostgres
  readonly config: Config
  readonly env: Readonly<Record<string, string>>
  readonly control: ControlPlane
  readonly migrationsFolder: string
  readonly pairs: Readonly<Record<Isolation, Pair>>
  /** The configuration changed, as the same process would read it. */
  configure(change: (input: ConfigInput) => ConfigInput): Config
  /** The superuser's connections to one database. Closed with the lab. */
  root(database: string): AdminSql
  /** Ends the superuser's connections to one database. */
  forget(database: string): Promise<void>
  /** Ends the lab's own connections, for those who copy a database. */
  leave(): Promise<void>
  close(): Promise<void>
}

export interface LabOptions {
  readonly version?: PostgresVersion
  readonly isolations?: readonly Isolation[]
  readonly settings?: Record<string, string | number>
}

/** What all labs read: one region, one cluster. */
export const LAB_INPUT: ConfigInput = { ...input, regions: { us: input.regions.us! }, residency: { profiles: {} } }

export async function startLab({ version, isolations = ISOLATIONS, settings }: LabOptions = {}): Promise<Lab> {
  const postgres = await startTestPostgres({ ...(version && { version }), ...(settings && { settings }) })
  const { server } = postgres
  const roots = new Map<string, AdminSql>()
  const undo: (() => Promise<unknown>)[] = [
    () => postgres.stop(),
    () => Promise.all([...roots.values()].map((sql) => sql.end({ timeout: 1 }))),
  ]
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    const migrationsFolder = await temporaryFolder('migrations')
    undo.push(() => rm(migrationsFolder, { recursive: true }))
    for (const folder of FOLDERS) {
      const files = (await readdir(folder)).filter((f) => f.endsWith('.sql'))
      await Promise.all(files.map((f) => copyFile(join(folder, f), join(migrationsFolder, f))))
    }
    const env: Record<string, string> = {
      INNKEEPER_CONTROL_URL: server.url('innkeeper_control'),
      INNKEEPER_DIRECTORY_URL: server.url('innkeeper_control', 'innkeeper_directory', 'reader-secret'),
      INNKEEPER_ADMIN_TOKEN: randomBytes(24).toString('hex'),
      INNKEEPER_SIGNING_KEY: randomBytes(32).toString('base64'),
      INNKEEPER_US_KEY: randomBytes(32).toString('base64'),
      INNKEEPER_US_1_URL: server.url('postgres', 'innkeeper_app', 'app-secret'),
      INNKEEPER_US_1_ADMIN_URL: server.url(),
    }
    const configure = (change: (i: ConfigInput) => ConfigInput) =>
      resolveConfig(change(LAB_INPUT), { kind: 'control' }, env)
    const config = configure((i) => i)
    const control = openControlPlane({ config, migrationsFolder, references: ['countries'] })
    undo.push(() => control.close())
    await control.install()
    const pairs = {} as Record<Isolation, Pair>
    for (const isolation of isolations) {
      const make = (slug: string) => control.createTenant({ slug, tier: TIER[isolation], region: 'us' })
      pairs[isolation] = { a: await make(`a-${isolation}`), b: await make(`b-${isolation}`) }
    }
    return {
      postgres,
      config,
      env,
      control,
      migrationsFolder,
      pairs,
      configure,
      root(database) {
        const known = roots.get(database) ?? adminSql(server.url(), database, { max: 2 })
        roots.set(database, known)
        return known
      },
      async forget(database) {
        const sql = roots.get(database)
        roots.delete(database)
        await sql?.end({ timeout: 1 })
      },
      async leave() {
        const open = [...roots.values()]
        roots.clear()
        await Promise.all(open.map((sql) => sql.end({ timeout: 1 })))
        await control.makerOf(CLUSTER).close()
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Changes the settings of the one cluster. */
export function withCluster(
  change: Partial<ConfigInput['regions'][string]['clusters'][string]>,
  pools: ConfigInput['pools'] = {},
) {
  return (from: ConfigInput): ConfigInput => {
    const us = from.regions.us!
    const clusters = { [CLUSTER]: { ...us.clusters[CLUSTER]!, ...change } }
    return { ...from, pools: { ...from.pools, ...pools }, regions: { us: { ...us, clusters } } }
  }
}
