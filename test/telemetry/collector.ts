import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

/** An OTLP collector of our own: it takes what comes over HTTP and keeps it. */
export interface Collector {
  readonly url: string
  spans(): CollectedSpan[]
  /** Names of the metrics received. */
  metrics(): string[]
  close(): Promise<void>
}

export interface CollectedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | null
  readonly attributes: Record<string, unknown>
  readonly status: number
  readonly message: string
  readonly links: string[]
}

// biome-ignore lint/suspicious/noExplicitAny: what an exporter sends is looked into freely
type Json = any

export async function startCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = []
  const metrics: string[] = []
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk) => chunks.push(chunk))
    req.on('end', () => {
      const raw = Buffer.concat(chunks)
      const json: Json = JSON.parse((req.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString())
      for (const r of json.resourceSpans ?? []) for (const s of r.scopeSpans) spans.push(...s.spans.map(readSpan))
      for (const r of json.resourceMetrics ?? []) {
        for (const s of r.scopeMetrics) metrics.push(...s.metrics.map((m: Json) => m.name))
      }
      res.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: () => spans,
    metrics: () => metrics,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

function readSpan(span: Json): CollectedSpan {
  const attributes = Object.fromEntries(
    (span.attributes ?? []).map(({ key, value }: Json) => [key, Object.values(value as object)[0]]),
  )
  return {
    name: span.name,
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId || null,
    attributes,
    status: span.status?.code ?? 0,
    message: span.status?.message ?? '',
    links: (span.links ?? []).map((l: Json) => l.traceId),
  }
}
