import { createServer, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { getRequestListener } from '@hono/node-server'
import { getPath as decodedPath } from 'hono/utils/url'
import type { Redis } from 'ioredis'
import type { Config } from '../../config/index.ts'
import type { Directory } from '../../tiers/directory/types.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { KeyVerifier } from '../../tiers/keys/types.ts'
import type { Attendance } from '../../tiers/residency/attendance.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { createAdmission } from './admit.ts'
import { createAuthenticate } from './authenticate.ts'
import { createAway } from './away/away.ts'
import { createForward } from './away/forward.ts'
import { readHop } from './away/hop.ts'
import { createHopKeys } from './away/hop-keys.ts'
import { createHopTokens, type HopTokens, keptOf } from './away/hop-token.ts'
import { ownNonces, sharedNonces } from './away/nonces.ts'
import { createPeerPools } from './away/peer-pools.ts'
import { cors } from './cors.ts'
import type { GatewayContext, GatewayMiddleware } from './env.ts'
import { errorPages } from './error-pages.ts'
import { createOnError } from './errors.ts'
import { createFailures } from './failures.ts'
import { GzipResponse } from './gzip.ts'
import { health, type Ready } from './health.ts'
import { createIdentify } from './identify.ts'
import { createInFlight } from './in-flight.ts'
import { createVerifyJwt } from './jwt.ts'
import { middlewareInOrder } from './middleware.ts'
import { observe } from './observe.ts'
import { createPeers } from './peer.ts'
import { requestId } from './request-id.ts'
import { secureHeaders } from './secure-headers.ts'
import { createSharedUsage } from './shared-usage.ts'
import { tenant } from './tenant.ts'
import { tenantlessPath } from './tenant-path.ts'

type FetchCallback = Parameters<typeof getRequestListener>[0]

export interface EdgeOptions {
  /** Of a gateway: its role names the region. */
  readonly config: Config
  readonly directory: Directory
  readonly keys: KeyVerifier
  readonly telemetry: Telemetry
  /** Of the region; the caller closes it. Without it each gateway limits by itself. */
  readonly redis?: Redis
  /** What `/readyz` reports. */
  readonly ready?: Ready
  /** Lets a browser in that has no credential yet. */
  readonly apiPage?: GatewayMiddleware
  /** Told whose requests are answered, or forwarded, here. */
  readonly served?: Attendance['served']
  /** Milliseconds; tests move it. */
  readonly now?: () => number
}

/** What stands between the network and a tenant's routes. */
export interface Edge {
  /** For `new Hono({ getPath })`, so that routes are written without `/t/{slug}`. */
  readonly getPath: (request: Request) => string
  /** `app.use` each, in this order. After them every route has a tenant. */
  readonly middleware: readonly GatewayMiddleware[]
  readonly onError: (error: Error, c: GatewayContext) => Response
  readonly notFound: (c: GatewayContext) => Response
  /** Of {@link createServer}, for who makes the server otherwise. */
  readonly serverOptions: ServerOptions
  /** Of {@link createServer}: answers what cannot be made a Request of, such as a bad Host. */
  readonly onListenerError: (error: unknown) => Response
  /**
   * The HTTP server for `app.fetch`, not listening yet: limits on headers and on how long they take, compression, and a
   * problem document for every failure.
   */
  readonly createServer: (fetch: FetchCallback) => Server
  /** First step of a shutdown, beside `server.close()`: waits for requests under way, at most `http.drainMs`. */
  drain(): Promise<void>
  /** Last step, when no request is left. */
  close(): Promise<void>
}

export function createEdge(options: EdgeOptions): Edge {
  const { config, directory, keys, telemetry, redis, now = Date.now } = options
  if (config.role.kind !== 'gateway') throw new InnkeeperError('invalid_config', 'Only a gateway has an edge')
  const { region } = config.role
  const { log } = telemetry
  const peers = createPeers(config.identify.trustedPeers)
  const inFlight = createInFlight(config.http.requestTimeoutMs)
  const shared = redis === undefined ? null : createSharedUsage({ redis, region, log, now })
  const verifyJwt = createVerifyJwt(config.jwt, now)

  const tokens = hopTokensOf(options, region, now)
  const pools = createPeerPools(config, region)
  const forward = tokens === null ? null : createForward({ config, region, peers, pools, tokens })

  const answers = createOnError(log)
  const middleware = middlewareInOrder({
    requestId: requestId(),
    hop: readHop(tokens),
    observe: observe(telemetry, peers),
    inFlight: inFlight.middleware,
    secureHeaders: secureHeaders(peers),
    cors: cors(config.cors.origins),
    health: health(options.ready ?? (async () => ({ checks: {} })), inFlight.isDraining),
    errorPages: errorPages(),
    apiPage: options.apiPage,
    tenant: tenant({
      config,
      peers,
      identify: createIdentify(config, peers),
      authenticate: createAuthenticate({ region, directory, keys, verifyJwt }),
      failures: createFailures(now),
      admission: createAdmission({ shared, now }),
      away: createAway({ config, forward, served: options.served }),
      served: options.served,
    }),
  })

  const { headerBytesMax, headersTimeoutMs, requestTimeoutMs } = config.http
  const serverOptions: ServerOptions = {
    // Its constructor takes Node's own request alone, and that is what Node gives it.
    ServerResponse: GzipResponse as typeof ServerResponse,
    maxHeaderSize: headerBytesMax,
    // Node refuses to start where the head may take longer than the whole.
    headersTimeout: Math.min(headersTimeoutMs, requestTimeoutMs),
    // Later than our own deadline, whose answer says more than Node's.
    requestTimeout: requestTimeoutMs + 5_000,
    // How often Node looks for what is late; by itself it would be every 30 seconds.
    connectionsCheckingInterval: 1_000,
  }

  return {
    getPath: config.identify.strategies.includes('path') ? tenantlessPath : decodedPath,
    middleware,
    onError: answers.onError,
    notFound: answers.notFound,
    onListenerError: answers.onListenerError,
    serverOptions,
    createServer(fetch) {
      const listener = getRequestListener(fetch, { errorHandler: answers.onListenerError })
      // Without a listener of its own Node asks for the body before anybody has looked at the head.
      const { tls } = config.http
      const server = tls
        ? createTlsServer({ ...serverOptions, ...tls }, listener)
        : createServer(serverOptions, listener)
      return server.on('checkContinue', listener)
    },
    drain: () => inFlight.drain(config.http.drainMs),
    async close() {
      inFlight.close()
      await pools.close()
      await shared?.close()
    },
  }
}

/** Null where the region has no key for it: then nothing is forwarded, nor believed to be. */
function hopTokensOf({ config, redis, telemetry }: EdgeOptions, region: string, now: () => number): HopTokens | null {
  const keys = createHopKeys(config, region)
  if (keys === null) return null
  const { hopTtlMs } = config.peering
  const keptMs = keptOf(hopTtlMs)
  const own = ownNonces(keptMs, now)
  const nonces = redis === undefined ? own : sharedNonces({ own, redis, region, keptMs, log: telemetry.log })
  return createHopTokens({ keys, nonces, hopTtlMs, now })
}
