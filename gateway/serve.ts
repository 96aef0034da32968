import { createServer, type Server } from 'node:http'
import { Hono } from 'hono'
import { Redis } from 'ioredis'
import type { DestinationStream } from 'pino'
import { type Config, type ProcessRole, resolveConfig } from '../config/index.ts'
import { type RedisServer, redisServerOf, redisTls } from '../tiers/cache/redis-server.ts'
import { homeOf } from '../tiers/control/region-stores.ts'
import { openDirectory } from '../tiers/directory/directory.ts'
import type { Directory } from '../tiers/directory/types.ts'
import { openKeyVerifier } from '../tiers/keys/verifier.ts'
import { openClusters } from '../tiers/pg/clusters.ts'
import { openAttendance } from '../tiers/residency/attendance.ts'
import { createTenants } from '../tiers/tenants.ts'
import { appRoutes } from './app-routes.ts'
import { ownPackage } from './cli/package.ts'
import { logDirectory } from './directory-log.ts'
import { createEdge } from './edge/edge.ts'
import type { GatewayEnv } from './edge/env.ts'
import type { Ready } from './edge/health.ts'
import { whoami } from './edge/whoami.ts'
import { metricsListener } from './metrics.ts'
import { loadProduct, type Product } from './product.ts'
import { releasers } from './releasers.ts'
import { restApi } from './rest/app.ts'
import { keyPage } from './rest/openapi/key-page.ts'
import { createRestRooms } from './rest-room.ts'
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts'

const REST_PATH = '/rest/v1'

export interface GatewayOptions {
  readonly configFolder: string | null
  readonly region: string
  readonly port: number
  readonly host: string
  /** Where the credentials named in the configuration are found. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Already loaded, where one process runs several gateways. */
  readonly product?: Product
  /** Where `/metrics` is served, apart from the tenants' port; not at all where left out. */
  readonly metrics?: { readonly port: number; readonly host: string }
  /** Of the process, where several gateways share one; otherwise the gateway makes its own. */
  readonly telemetry?: Telemetry
  /** Where log lines go; standard output where left out. */
  readonly logTo?: DestinationStream
}

export interface RunningGateway {
  readonly url: string
  readonly region: string
  readonly telemetry: Telemetry
  /** Lets requests under way finish, at most `http.drainMs`, then closes everything in reverse order. */
  close(): Promise<void>
}

/**
 * The composition root of a gateway: builds everything for one region, in the order in which it depends on each other.
 *
 * @throws ConfigError with every fault of the configuration at once
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const product = options.product ?? (await loadProduct(options.configFolder))
  const role: ProcessRole = { kind: 'gateway', region: options.region }
  const config = resolveConfig(product.config, role, options.env)
  const secrets = config.regions.get(options.region)!.secrets!
  const closers = releasers()
  try {
    const telemetry = options.telemetry ?? gatewayTelemetry(config.telemetry, options)
    if (options.telemetry === undefined) closers.add('telemetry', () => telemetry.shutdown())
    const { log, observer } = telemetry

    const redisServer = redisServerOf(config, options.region)
    const redis =
      redisServer === null ? undefined : openRedis(redisServer, options.region, (error) => log.warn({ error }, 'redis'))
    if (redis) closers.add('redis', async () => redis.disconnect())
    const directory = openDirectory({ config, redis, observer })
    closers.add('directory', () => directory.close())
    const directoryLog = logDirectory(directory, log)
    closers.add('directory log', async () => directoryLog.close())
    const { restoreFault } = directory.status()
    if (restoreFault) log.warn({ fault: restoreFault }, 'the directory kept on disk is not believed')
    const keys = openKeyVerifier(config, homeOf(secrets.clusters))
    closers.add('keys', () => keys.close())
    const clusters = openClusters(config, observer)
    closers.add('clusters', () => clusters.close(1_000))
    const tenants = createTenants({ config, directory, clusters, schema: product.schema, observer })

    const attendance = openAttendance({
      server: { url: config.controlUrl, ...config.controlTls },
      region: options.region,
      version: ownPackage().version,
      observer,
    })
    closers.add('attendance', () => attendance.close())

    const edge = createEdge({
      config,
      directory,
      keys,
      telemetry,
      ...(redis ? { redis } : {}),
      ready: readinessOf(directory),
      served: attendance.served,
      apiPage: keyPage(REST_PATH),
    })
    closers.add('edge', () => edge.close())

    const app = new Hono<GatewayEnv>({ getPath: edge.getPath })
    for (const middleware of edge.middleware) app.use(middleware)
    app.route(REST_PATH, restApi(createRestRooms(tenants)))
    app.get('/v1/whoami', whoami)
    if (product.routes !== null) app.route('/', appRoutes(product.routes, tenants))
    app.onError(edge.onError)
    app.notFound(edge.notFound)

    if (options.metrics !== undefined) {
      const metrics = createServer(metricsListener(telemetry))
      await listening(metrics, options.metrics)
      closers.add('metrics', () => closeServer(metrics))
    }
    const server = edge.createServer(app.fetch)
    await listening(server, options)
    closers.add('server', () => closeServer(server))
    closers.add('requests', async () => {
      const stopped = new Promise<void>((resolve) => server.close(() => resolve()))
      await edge.drain()
      server.closeIdleConnections()
      await Promise.race([stopped, new Promise((r) => setTimeout(r, 100))])
    })
    const address = server.address() as { port: number }
    log.info({ region: options.region, port: address.port }, 'gateway listening')
    return {
      url: `${config.http.tls ? 'https' : 'http'}://localhost:${address.port}`,
      region: options.region,
      telemetry,
      close: () => closers.releaseAll(),
    }
  } catch (error) {
    await closers.releaseAll()
    throw error
  }
}

/** A directory that is out of reach is served from what is known: that is no reason to send requests elsewhere. */
function readinessOf(directory: Directory): Ready {
  return async () => {
    const { connected, version, staleForMs, entries, restored } = directory.status()
    return {
      checks: { directory_seen: connected || version > 0 || restored > 0 },
      facts: { directory: { connected, stale_for_ms: Math.round(staleForMs), entries, restored } },
    }
  }
}

function openRedis(server: RedisServer, region: string, onError: (error: unknown) => void): Redis {
  const redis = new Redis(server.url, {
    ...redisTls(server),
    // CLIENT LIST shows who is there: in a region's Redis its own gateways and nobody else.
    connectionName: `innkeeper-gateway-${region}`,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: 200,
    connectTimeout: 2_000,
    retryStrategy: (attempt) => Math.min(attempt * 100, 2_000),
  })
  redis.on('error', onError)
  return redis
}

function gatewayTelemetry(config: Config['telemetry'], { region, logTo }: GatewayOptions): Telemetry {
  return createTelemetry(config, { service: 'innkeeper-gateway', region, ...(logTo ? { logTo } : {}) })
}

function listening(server: Server, { port, host }: { readonly port: number; readonly host: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
}
