import { type Meter, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Logger } from 'pino'
import type { FaultOwner } from '../../tiers/errors.ts'
import { type TenantAttributes, tenantAttributes } from '../../tiers/telemetry.ts'
import type { Tenant } from '../../tiers/types.ts'
import type { Count } from './counters.ts'
import { type ObservedHop, observeHop } from './hop.ts'
import { type RequestScope, withScope } from './request-context.ts'
import { parseTraceparent } from './traceparent.ts'
import type { Traces } from './traces.ts'

export interface RequestStart {
  readonly requestId: string
  readonly method: string
  readonly traceparent: string | null
  /** The region of the gateway that forwarded it; null where none did. */
  readonly from: string | null
  /** Whether the peer may decide which trace this belongs to, and whether it is kept. */
  readonly isTrusted: boolean
}

export interface RequestEnd {
  readonly status: number
  readonly path: string
  /** The pattern that matched, such as `/rest/v1/:table`: few, where paths are many. */
  readonly route: () => string
  /** The names alone: a value is often somebody's data. */
  readonly queryNames: () => string
  readonly bytesIn: number
  readonly bytesOut: number
  readonly clientIp: string | null
}

/** What a request failed of: an InnkeeperError, or the data API's own error with a code of its dialect. */
export interface Failure {
  readonly code: string
  readonly owner: FaultOwner
}

/** One request, as telemetry follows it. */
export interface ObservedRequest {
  setTenant(tenant: Tenant): void
  /** The tenant lives in another region: of what it asked for nothing is noted here, its path neither. */
  setAway(): void
  setError(failure: Failure): void
  /** The request goes on to another region's gateway. */
  hop(from: string, to: string): ObservedHop
  /** Runs the function where its spans become children of the request's. */
  within<T>(fn: () => T): T
  /** Once, when the answer has left or the client has. */
  end(facts: RequestEnd): void
}

export type StartRequest = (start: RequestStart) => ObservedRequest

/** Requests that fail before a tenant is known are counted too. */
const NO_TENANT = Object.freeze({ tenant_id: 'none', tenant_slug: 'none', tenant_tier: 'none', tenant_region: 'none' })

export function createRequests(traces: Traces, meter: Meter, count: Count, log: Logger): StartRequest {
  const duration = meter.createHistogram('http_request_duration_seconds')
  const labelsOf = createLabels()

  return function startRequest({ requestId, method, traceparent, isTrusted, from }) {
    const startedMs = performance.now()
    const scope: RequestScope = { tenant: null }
    const remote = traceparent === null ? null : parseTraceparent(traceparent)
    let error: Failure | null = null
    let hopTo: string | null = null
    let isAway = false
    let span: Span | null = null
    let context = ROOT_CONTEXT
    if (traces.enabled) {
      // From a stranger the trace is only linked: else anybody could have all requests kept, or write into our traces.
      const parent = remote !== null && isTrusted ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT
      const links = remote !== null && !isTrusted ? [{ context: remote }] : []
      const attributes = {
        'http.request.method': method,
        request_id: requestId,
        ...(from === null ? {} : { forwarded_from: from }),
      }
      span = traces.tracer.startSpan(method, { kind: SpanKind.SERVER, attributes, links }, parent)
      context = withScope(trace.setSpan(parent, span), scope)
    }

    return {
      setTenant(tenant) {
        scope.tenant = tenantAttributes(tenant)
        span?.setAttributes(scope.tenant)
      },
      setAway() {
        isAway = true
      },
      setError(thrown) {
        error = thrown
      },
      hop(here, to) {
        hopTo = to
        return observeHop(traces, span === null ? null : context, here, to)
      },
      within: (fn) => (span === null ? fn() : traces.contexts.with(context, fn)),
      end(facts) {
        const ms = performance.now() - startedMs
        const tenant = scope.tenant ?? NO_TENANT
        const [outcome, tierLabels] = labelsOf(tenant, facts.status, error)
        count('http_requests_total', 1, outcome)
        count('tenant.bytes_in_total', facts.bytesIn, tenant)
        count('tenant.bytes_out_total', facts.bytesOut, tenant)
        duration.record(ms / 1000, tierLabels)
        if (span !== null) endSpan(span, method, isAway ? null : facts.path, facts, error)
        const level = facts.status >= 500 ? 'warn' : 'info'
        if (!log.isLevelEnabled(level)) return
        log[level](
          {
            request_id: requestId,
            trace_id: span?.spanContext().traceId ?? (isTrusted ? remote?.traceId : null) ?? traceIdOf(requestId),
            ...(scope.tenant ?? {}),
            method,
            ...(isAway ? {} : { path: facts.path, query: facts.queryNames() }),
            status: facts.status,
            ms: Math.round(ms * 100) / 100,
            bytes_in: facts.bytesIn,
            bytes_out: facts.bytesOut,
            client_ip: facts.clientIp,
            ...(from === null ? {} : { forwarded_from: from }),
            ...(hopTo === null ? {} : { forwarded_to: hopTo }),
            ...(error === null ? {} : { error: (error as Failure).code, owner: (error as Failure).owner }),
          },
          'request',
        )
      },
    }
  }
}

function endSpan(span: Span, method: string, path: string | null, facts: RequestEnd, error: Failure | null): void {
  const route = facts.route()
  span.updateName(`${method} ${route}`)
  span.setAttributes({
    'http.response.status_code': facts.status,
    'http.route': route,
    ...(path === null ? {} : { 'url.path': path }),
  })
  if (error !== null) span.setAttributes({ 'error.type': error.code, 'error.owner': error.owner })
  if (facts.status >= 500)
    span.setStatus({ code: SpanStatusCode.ERROR, ...(error === null ? {} : { message: error.code }) })
  span.end()
}

/** Without traces a line still has a trace id, its own: the request id, where that is a UUID, has as many digits. */
function traceIdOf(requestId: string): string | null {
  const hex = requestId.replaceAll('-', '')
  return /^[0-9a-f]{32}$/.test(hex) ? hex : null
}

type Labels = Readonly<Record<string, string>>

interface TenantLabels {
  readonly duration: Labels
  readonly outcomes: Map<string, Labels>
}

/** The labels of a request, made once for each tenant and outcome. A histogram knows no tenants: fifteen series each. */
function createLabels(): (tenant: TenantAttributes, status: number, error: Failure | null) => [Labels, Labels] {
  const made = new WeakMap<TenantAttributes, TenantLabels>()
  return function labelsOf(tenant, status, error) {
    let labels = made.get(tenant)
    if (labels === undefined) {
      const { tenant_tier, tenant_region } = tenant
      labels = { duration: Object.freeze({ tenant_tier, tenant_region }), outcomes: new Map() }
      made.set(tenant, labels)
    }
    const code = `${Math.floor(status / 100)}xx`
    const name = error === null ? code : `${code} ${error.code}`
    let outcome = labels.outcomes.get(name)
    if (outcome === undefined) {
      outcome = Object.freeze({ ...tenant, code, error: error?.code ?? '', owner: error?.owner ?? '' })
      labels.outcomes.set(name, outcome)
    }
    return [outcome, labels.duration]
  }
}
