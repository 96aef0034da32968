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

/** Retries included: a collector that is gone must not keep the process from stopping. */
export const EXPORT_TIMEOUT_MS = 2_000

export interface Traces {
  /** False without a collector: then no span is ever made, and nobody need look at the context. */
  readonly enabled: boolean
  readonly tracer: Tracer
  /** Not registered with the global API: a process may run several gateways, each with its own telemetry. */
  readonly contexts: AsyncLocalStorageContextManager
  shutdown(): Promise<void>
}

/**
 * @param otlpUrl the collector's base URL; null switches traces off
 * @param ratio   of traces kept, where no trusted peer has decided already
 */
export function createTraces(otlpUrl: string | null, ratio: number, resource: Resource): Traces {
  const contexts = new AsyncLocalStorageContextManager()
  if (otlpUrl === null) {
    const tracer = new ProxyTracerProvider().getTracer('innkeeper')
    return { enabled: false, tracer, contexts, shutdown: async () => {} }
  }
  contexts.enable()
  const exporter = new OTLPTraceExporter({ url: `${otlpUrl}/v1/traces`, timeoutMillis: EXPORT_TIMEOUT_MS })
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
