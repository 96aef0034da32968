import type { RequestListener } from 'node:http'
import type { Telemetry } from './telemetry/telemetry.ts'

/** Serves a process's metrics to Prometheus, on a port that no tenant reaches. */
export function metricsListener(telemetry: Telemetry): RequestListener {
  return (request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    telemetry.prometheusText().then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
      (error: unknown) => {
        telemetry.log.error({ error }, 'the metrics could not be collected')
        response.writeHead(500).end()
      },
    )
  }
}
