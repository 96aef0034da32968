import type { Meter } from '@opentelemetry/api'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import type { Resource } from '@opentelemetry/resources'
import {
  AggregationType,
  InstrumentType,
  MeterProvider,
  MetricReader,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { type Collector, EXPORT_TIMEOUT_MS, exporterOptions } from './collector.ts'

export interface Metrics {
  readonly meter: Meter
  /** All metrics in Prometheus' text format. */
  prometheusText(): Promise<string>
  shutdown(): Promise<void>
}

/** From 1 ms to 10 s: a request over a local pool takes a few, one that waits for a move takes seconds. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const EXPORT_INTERVAL_MS = 15_000
/** Labels besides the tenant: a request's class, code and owner. */
const SERIES_PER_TENANT = 20

/** Collects when asked; it has no server of its own, since `/metrics` is on the admin port. */
class ScrapeReader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

/**
 * @param collector null for no export
 * @param tenantsMax how many tenants have labels of their own
 */
export function createMetrics(collector: Collector | null, resource: Resource, tenantsMax: number): Metrics {
  const seriesMax = (tenantsMax + 1) * SERIES_PER_TENANT
  const scrape = new ScrapeReader({ cardinalitySelector: () => seriesMax })
  const readers: MetricReader[] = [scrape]
  if (collector !== null) {
    readers.push(
      new PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter(exporterOptions(collector, '/v1/metrics')),
        exportIntervalMillis: EXPORT_INTERVAL_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
        cardinalityLimits: { default: seriesMax },
      }),
    )
  }
  const provider = new MeterProvider({
    resource,
    readers,
    views: [
      {
        instrumentType: InstrumentType.HISTOGRAM,
        aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: SECONDS } },
      },
    ],
  })
  const serializer = new PrometheusSerializer(undefined, false, undefined, true, true)
  return {
    meter: provider.getMeter('innkeeper'),
    async prometheusText() {
      const { resourceMetrics, errors } = await scrape.collect()
      if (errors.length > 0) throw new AggregateError(errors, 'Metrics cannot be collected')
      return serializer.serialize(resourceMetrics)
    },
    shutdown: () => provider.shutdown(),
  }
}
