import { createServer } from 'node:https'
import { serve as listen, type ServerType } from '@hono/node-server'
import type { DestinationStream } from 'pino'
import { type Config, resolveConfig } from '../config/index.ts'
import { type ControlPlane, openControlPlane } from '../tiers/control/control-plane.ts'
import { openDirectory } from '../tiers/directory/directory.ts'
import { otherRegions } from '../tiers/half/other-regions.ts'
import { CONTROL } from '../tiers/half/peers.ts'
import { openClusters } from '../tiers/pg/clusters.ts'
import type { Statement } from '../tiers/room/steps.ts'
import { createTenants, type Tenants } from '../tiers/tenants.ts'
import { createAdminApi } from './admin/api.ts'
import { loadProduct, type Product } from './product.ts'
import { releasers } from './releasers.ts'
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts'

export interface ControlOptions {
  readonly configFolder: string | null
  /** The configuration's where left out. */
  readonly port?: number | undefined
  readonly host?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly product?: Product
  readonly logTo?: DestinationStream
  /** Of the process, where the control plane shares one with gateways. */
  readonly telemetry?: Telemetry
  readonly onStep?: (step: string) => void
}

export interface RunningControl {
  readonly url: string
  readonly control: ControlPlane
  readonly tenants: Tenants<Record<string, unknown>>
  close(): Promise<void>
}

/**
 * The composition root of the control plane: installs what is missing, finishes what an earlier process left half done,
 * and serves the admin API, on loopback unless told otherwise.
 */
export async function startControl(options: ControlOptions): Promise<RunningControl> {
  const product = options.product ?? (await loadProduct(options.configFolder))
  const config = resolveConfig(product.config, { kind: 'control' }, options.env)
  const closers = releasers()
  try {
    const telemetry = options.telemetry ?? controlTelemetry(config.telemetry, options)
    if (options.telemetry === undefined) closers.add('telemetry', () => telemetry.shutdown())
    const { migrationsFolder, references } = product
    // Without credentials of the regions it reaches them through their halves of the mover, and sees no rows.
    const others = config.controlChannel === null ? undefined : otherRegions(config, CONTROL)
    const control = openControlPlane({ config, migrationsFolder, references, ...(others && { others }) })
    closers.add('control plane', () => control.close())
    await control.install(options.onStep)
    const recovered = await control.recover()
    if (recovered.length > 0)
      telemetry.log.info({ tenants: recovered }, 'finished tenants that were left half made or half removed')

    // What an earlier process was moving goes on from where it stopped.
    control.moves.run()

    const directory = openDirectory({ config })
    closers.add('directory', () => directory.close())
    const clusters = openClusters(config)
    closers.add('clusters', () => clusters.close(1_000))
    const tenants = createTenants({ config, directory, clusters, schema: product.schema })
    const host = options.host ?? config.admin.host
    const app = createAdminApi({
      config,
      control,
      telemetry,
      product,
      host,
      allowedHosts: config.admin.allowedHosts,
      ...(others === undefined && {
        tenantSql: (tenant: string, statement: Statement) => tenants.session(tenant).execute(statement),
      }),
    })
    const server = await listening(
      app.fetch,
      { port: options.port ?? config.admin.port, hostname: host },
      config.admin.tls,
    )
    closers.add('server', () => closeServer(server))
    const { port } = server.address() as { port: number }
    telemetry.log.info({ port }, 'control plane listening')
    return {
      url: `${config.admin.tls ? 'https' : 'http'}://${host === '0.0.0.0' || host === '::' ? 'localhost' : host}:${port}`,
      control,
      tenants,
      close: () => closers.releaseAll(),
    }
  } catch (error) {
    await closers.releaseAll()
    throw error
  }
}

function controlTelemetry(config: Config['telemetry'], { logTo }: ControlOptions): Telemetry {
  return createTelemetry(config, { service: 'innkeeper-control', region: 'all', ...(logTo ? { logTo } : {}) })
}

type Fetch = Parameters<typeof listen>[0]['fetch']

function listening(
  fetch: Fetch,
  address: { readonly port: number; readonly hostname: string },
  tls: Config['admin']['tls'],
): Promise<ServerType> {
  const secure = tls === null ? {} : { createServer, serverOptions: { ...tls } }
  return new Promise((resolve, reject) => {
    const server = listen({ fetch, ...address, ...secure }, () => resolve(server))
    server.once('error', reject)
  })
}

async function closeServer(server: ServerType): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  if ('closeIdleConnections' in server) server.closeIdleConnections()
  const cut = setTimeout(() => 'closeAllConnections' in server && server.closeAllConnections(), 1_000)
  await closed
  clearTimeout(cut)
}
