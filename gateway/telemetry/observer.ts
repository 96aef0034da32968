import { type Meter, SpanStatusCode, trace } from '@opentelemetry/api'
import type { TiersObserver } from '../../tiers/telemetry.ts'
import type { Count } from './counters.ts'
import { addGauge } from './gauges.ts'
import { tenantOf } from './request-context.ts'
import type { BoundLabels } from './tenant-labels.ts'
import type { Traces } from './traces.ts'

/** Of a tenant's durations the histogram keeps the tier and region: a histogram per tenant would be fifteen series each. */
const HISTOGRAM_LABELS: ReadonlySet<string> = new Set(['tenant_tier', 'tenant_region', 'cluster', 'layer', 'isolation'])

/** What the tiers see of telemetry, over OpenTelemetry. */
export function createObserver(traces: Traces, meter: Meter, count: Count, boundLabels: BoundLabels): TiersObserver {
  const record = createRecorder(meter, count)
  return {
    enabled: traces.enabled,

    span(name, attributes, fn) {
      if (!traces.enabled) return fn()
      const parent = traces.contexts.active()
      // Not sampled: its children would not be either, and making them costs.
      if (trace.getSpan(parent)?.isRecording() === false) return fn()
      const span = traces.tracer.startSpan(name, { attributes: { ...tenantOf(parent), ...attributes } }, parent)
      return traces.contexts.with(trace.setSpan(parent, span), async () => {
        try {
          return await fn()
        } catch (error) {
          span.setStatus({ code: SpanStatusCode.ERROR, message: nameOf(error) })
          throw error
        } finally {
          span.end()
        }
      })
    },

    count(name, value, attributes) {
      count(`${name}_total`, value, attributes)
    },

    record,

    gauge: (name, read) => addGauge(meter, boundLabels, name, read),
  }
}

/** Durations come in milliseconds and leave in seconds, which is what Prometheus and OpenTelemetry both count in. */
function createRecorder(meter: Meter, count: Count): TiersObserver['record'] {
  const histograms = new Map<string, ReturnType<Meter['createHistogram']>>()
  const reduced = new WeakMap<object, Record<string, string | number | boolean>>()
  return function record(name, value, attributes) {
    const base = `${name.replace(/Ms$/, '')}_seconds`
    let histogram = histograms.get(base)
    if (histogram === undefined) {
      histogram = meter.createHistogram(base)
      histograms.set(base, histogram)
    }
    let labels = reduced.get(attributes)
    if (labels === undefined) {
      labels = Object.fromEntries(Object.entries(attributes).filter(([label]) => HISTOGRAM_LABELS.has(label)))
      if (Object.isFrozen(attributes)) reduced.set(attributes, labels)
    }
    histogram.record(value / 1000, labels)
    // The sum is a tenant's account, so it is kept for each.
    if (attributes.tenant_id !== undefined) count(`tenant.${base}_total`, value / 1000, attributes)
  }
}

/** An error's message may hold a tenant's data ("Key (email)=(...) already exists"); its code does not. */
function nameOf(error: unknown): string {
  if (error instanceof Error) return 'code' in error ? String(error.code) : error.name
  return typeof error
}
