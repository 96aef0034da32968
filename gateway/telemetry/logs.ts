import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from '../../config/index.ts'

export interface Logs {
  /** For everything that is not a request. Fields that are called like secrets are blotted out. */
  readonly log: Logger
  /** For the line of each request, whose fields are all known: looking for secrets in it would cost ten times the line. */
  readonly access: Logger
  close(): void
}

/** Gone before a line is written, wherever an object with a field of this name is logged. */
const SECRETS = ['authorization', 'apikey', 'cookie', 'password', 'token', 'secret', 'apiKey', 'adminToken']

/** Lines of requests are written together: a system call for each would cost as much as answering it. */
const ACCESS_BUFFER_BYTES = 8_192
const ACCESS_FLUSH_MS = 200

/**
 * JSON lines, one object each.
 *
 * @param base fields of every line: the service and its region
 * @param destination standard output where there is none
 */
export function createLogs(
  level: Config['telemetry']['logLevel'],
  base: Readonly<Record<string, string>>,
  destination?: DestinationStream,
): Logs {
  const options = {
    level,
    base,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const paths = SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])
  const redacted = { ...options, redact: { paths, censor: '[redacted]' } }
  if (destination !== undefined) {
    return { log: pino(redacted, destination), access: pino(options, destination), close: () => {} }
  }
  const out = pino.destination({ dest: 1, sync: true, minLength: ACCESS_BUFFER_BYTES })
  const timer = setInterval(() => out.flushSync(), ACCESS_FLUSH_MS)
  timer.unref()
  return {
    log: pino(redacted, pino.destination({ dest: 1, sync: true })),
    access: pino(options, out),
    close() {
      clearInterval(timer)
      out.flushSync()
    },
  }
}
