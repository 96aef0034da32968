import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from '../../config/index.ts'

/** Gone before a line is written, wherever an object with a field of this name is logged. */
const SECRETS = ['authorization', 'apikey', 'cookie', 'password', 'token', 'secret', 'apiKey', 'adminToken']

/**
 * JSON lines, one object each. Standard output where no destination is given.
 *
 * @param base fields of every line: the service and its region
 */
export function createLog(
  level: Config['telemetry']['logLevel'],
  base: Readonly<Record<string, string>>,
  destination?: DestinationStream,
): Logger {
  const options = {
    level,
    base,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
