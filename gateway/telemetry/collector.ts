/** Where traces and metrics are sent. */
export interface Collector {
  /** The base, without a slash at its end. */
  readonly url: string
  /** The authorities whose certificates are believed, as PEM; null for those that the runtime brings. */
  readonly ca: string | null
}

/** Retries included: a collector that is gone must not keep the process from stopping. */
export const EXPORT_TIMEOUT_MS = 2_000

export function exporterOptions({ url, ca }: Collector, path: string) {
  return {
    url: `${url}${path}`,
    timeoutMillis: EXPORT_TIMEOUT_MS,
    ...(ca === null ? {} : { httpAgentOptions: { ca, keepAlive: true } }),
  }
}
