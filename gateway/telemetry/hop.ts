import { type Context, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { Traces } from './traces.ts'

/** The way of one request to another region's gateway and back. */
export interface ObservedHop {
  /** For the other gateway, so that its spans become children of this one; null where nobody collects spans. */
  readonly traceparent: string | null
  /** When the answer's head has come. @param status null where none came */
  end(status: number | null): void
}

/** @param context of the request's own span; null without one */
export function observeHop({ tracer }: Traces, context: Context | null, from: string, to: string): ObservedHop {
  if (context === null) return NOT_OBSERVED
  const attributes = { 'hop.from': from, 'hop.to': to }
  const span = tracer.startSpan('hop', { kind: SpanKind.CLIENT, attributes }, context)
  const { traceId, spanId, traceFlags } = span.spanContext()
  return {
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    end(status) {
      if (status !== null) span.setAttribute('http.response.status_code', status)
      if (status === null || status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    },
  }
}

const NOT_OBSERVED: ObservedHop = Object.freeze({ traceparent: null, end: () => {} })
