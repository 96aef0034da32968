import type { Meter, Tracer } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { DestinationStream, Logger } from 'pino'
import type { Config } from '../../config/index.ts'
import type { TiersObserver } from '../../tiers/telemetry.ts'
import { createCounters } from './counters.ts'
import { createLogs } from './logs.ts'
import { createMetrics } from './metrics.ts'
import { createObserver } from './observer.ts'
import { observeProcess } from './process.ts'
import { createRequests, type StartRequest } from './requests.ts'
import { createBoundLabels } from './tenant-labels.ts'
import { createTraces } from './traces.ts'

export interface Telemetry {
  readonly log: Logger
  readonly tracer: Tracer
  readonly meter: Meter
  /** For the tiers, which know no OpenTelemetry. */
  readonly observer: TiersObserver
  readonly startRequest: StartRequest
  /** What `/metrics` answers, in Prometheus' text format. */
  prometheusText(): Promise<string>
  /** Sends what is left, and stops. */
  shutdown(): Promise<void>
}

export interface TelemetryOptions {
  /** `innkeeper-gateway`, say. */
  readonly service: string
  readonly region: string
  /** Where log lines go; standard output where left out. */
  readonly logTo?: DestinationStream
}

/**
 * Traces, metrics and logs of one process role. Without an OTLP address no span is made at all; metrics are kept for
 * `/metrics` either way.
 */
export function createTelemetry(config: Config['telemetry'], { service, region, logTo }: TelemetryOptions): Telemetry {
  const collector =
    config.otlpUrl === undefined ? null : { url: config.otlpUrl.replace(/\/+$/, ''), ca: config.ca ?? null }
  const resource = resourceFromAttributes({ 'service.name': service, 'service.namespace': 'innkeeper', region })
  const traces = createTraces(collector, config.traceRatio, resource)
  const metrics = createMetrics(collector, resource, config.tenantLabelsMax)
  observeProcess(metrics.meter)
  const boundLabels = createBoundLabels(config.tenantLabelsMax)
  const count = createCounters(metrics.meter, boundLabels)
  const logs = createLogs(config.logLevel, { service, region }, logTo)
  return {
    log: logs.log,
    tracer: traces.tracer,
    meter: metrics.meter,
    observer: createObserver(traces, metrics.meter, count, boundLabels),
    startRequest: createRequests(traces, metrics.meter, count, logs.access),
    prometheusText: () => metrics.prometheusText(),
    async shutdown() {
      // Neither failing to reach a collector nor one of the two must keep the other from finishing.
      await Promise.allSettled([traces.shutdown(), metrics.shutdown()])
      logs.close()
    },
  }
}
