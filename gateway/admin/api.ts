import { Hono, type MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { within } from '../../tiers/cache/within.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { GatewayContext } from '../edge/env.ts'
import { errorPages } from '../edge/error-pages.ts'
import { createOnError } from '../edge/errors.ts'
import { createPeers } from '../edge/peer.ts'
import { requestId } from '../edge/request-id.ts'
import { secureHeaders } from '../edge/secure-headers.ts'
import { auditApi } from './audit.ts'
import { bearerToken } from './authenticate.ts'
import { diagnose } from './doctor/doctor.ts'
import { domainsApi } from './domains.ts'
import type { AdminApiOptions, AdminApp, AdminDeps, AdminEnv } from './env.ts'
import { isFromHere, knownHost } from './host.ts'
import { incarnationsApi } from './incarnations.ts'
import { queryOf } from './input.ts'
import { keysApi } from './keys.ts'
import { migrationsApi } from './migrations.ts'
import { movesApi, tenantMovesApi } from './moves.ts'
import { openapiDocument } from './openapi/document.ts'
import { operatorsApi } from './operators.ts'
import { residencyApi } from './residency.ts'
import { recordRefusals, requireListedRight, requireRight } from './rights.ts'
import { doctorQuery } from './shapes.ts'
import { sqlApi } from './sql.ts'
import { tenantApi } from './tenant.ts'
import { tenantsApi } from './tenants.ts'
import { explainUnreachable } from './unreachable.ts'

const BODY_BYTES_MAX = 1024 * 1024
const READY_MS = 2_000

/**
 * The admin API, for a port of its own. Everything under `/admin/v1` asks for the token; `/healthz`, `/readyz` and
 * `/errors/*` are open; `/metrics` is open to this machine and asks everybody else for the token, because its labels name tenants. There is no CORS: no page of another origin has business here.
 *
 * @throws InnkeeperError `invalid_config` when the configuration is not the control plane's
 */
export function createAdminApi(options: AdminApiOptions): Hono {
  const { config, control, telemetry } = options
  const { token } = config.admin
  if (token === null) throw new InnkeeperError('invalid_config', 'Only the control plane has an admin API')
  const host = options.host ?? config.admin.host
  const deps: AdminDeps = { ...options, log: telemetry.log }
  const { onError, notFound } = createOnError(telemetry.log)
  const authenticated = bearerToken(token, control.operators)
  const app: AdminApp = new Hono<AdminEnv>()

  // The edge's own take its larger context, of which they use what is here too.
  for (const shared of [requestId(), secureHeaders(createPeers([]))]) app.use(shared as unknown as MiddlewareHandler)
  app.use(knownHost(host, options.allowedHosts ?? []))
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/readyz', async (c) => {
    const isReady = await within(control.tenants({ limit: 1 }), READY_MS).then(
      () => true,
      () => false,
    )
    const checks = { control_database: isReady }
    return c.json({ status: isReady ? 'ready' : 'not ready', checks }, isReady ? 200 : 503)
  })
  app.use('/errors/*', errorPages())
  app.use('/metrics', (c, next) => (isFromHere(c, host) ? next() : authenticated(c, next)))
  app.get('/metrics', async (c) => {
    const text = await (options.metricsText ?? telemetry.prometheusText)()
    return c.body(text, 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
  })

  app.use('/admin/*', authenticated)
  app.use('/admin/*', recordRefusals(deps))
  app.use('/admin/*', requireListedRight)
  app.use('/admin/*', bodyLimit({ maxSize: BODY_BYTES_MAX, onError: tooLarge }))
  app.route('/admin/v1/tenants', tenantsApi(deps))
  app.route('/admin/v1/tenants', tenantApi(deps))
  app.route('/admin/v1/tenants', keysApi(deps))
  app.route('/admin/v1/tenants', domainsApi(deps))
  app.route('/admin/v1/tenants', sqlApi(deps))
  app.route('/admin/v1/tenants', residencyApi(deps))
  app.route('/admin/v1/tenants', tenantMovesApi(deps))
  app.route('/admin/v1/moves', movesApi(deps))
  app.route('/admin/v1/audit', auditApi(deps))
  app.route('/admin/v1/operators', operatorsApi(deps))
  app.route('/admin/v1/migrations', migrationsApi(deps))
  app.route('/admin/v1/incarnations', incarnationsApi(deps))
  app.get('/admin/v1/doctor', async (c) => {
    const query = queryOf(c, doctorQuery)
    // It looks through every room of the fleet: not for everyone who may read.
    if (query.residency) requireRight(c, 'residency.report')
    return c.json(await diagnose(deps, query))
  })
  app.get('/admin/v1/openapi.json', (c) => c.json(openapiDocument(new URL(c.req.url).origin)))
  app.onError(async (error, c) => onError(await explainUnreachable(error, control), c as unknown as GatewayContext))
  app.notFound((c) => notFound(c as unknown as GatewayContext))
  return app as unknown as Hono
}

function tooLarge(): never {
  throw new InnkeeperError('payload_too_large', `The body is larger than ${BODY_BYTES_MAX} bytes`)
}
