import type { Tracer } from '@opentelemetry/api'
import { ProxyTracerProvider } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import type { Resource } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { type Collector, EXPORT_TIMEOUT_MS, exporterOptions } from './collector.ts'

export interface Traces {
  /** False without a collector: then no span is ever made, and nobody need look at the context. */
  readonly enabled: boolean
  readonly tracer: Tracer
  /** Not registered with the global API: a process may run several gateways, each with its own telemetry. */
  readonly contexts: AsyncLocalStorageContextManager
  shutdown(): Promise<void>
}

/**
 * @param collector null switches traces off
 * @param ratio   of traces kept, where no trusted peer has decided already
 */
export function createTraces(collector: Collector | null, ratio: number, resource: Resource): Traces {
  const contexts = new AsyncLocalStorageContextManager()
  if (collector === null) {
    const tracer = new ProxyTracerProvider().getTracer('innkeeper')
    return { enabled: false, tracer, contexts, shutdown: async () => {} }
  }
  contexts.enable()
  const exporter = new OTLPTraceExporter(exporterOptions(collector, '/v1/traces'))
  const provider = new TracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [new BatchSpanProcessor({ exporter, exportTimeoutMillis: EXPORT_TIMEOUT_MS })],
  })
  return {
    enabled: true,
    tracer: provider.getTracer('innkeeper'),
    contexts,
    async shutdown() {
      await provider.shutdown()
      contexts.disable()
    },
  }
}
