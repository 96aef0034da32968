import { CommanderError } from 'commander'
import type { ConfigError } from '../../config/resolve.ts'
import { isInnkeeperError } from '../../tiers/errors.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

/** A failure that the command line itself finds: it says what to do and with what code the process ends. */
export class CliError extends Error {
  readonly exitCode: number
  readonly hint: string | undefined
  /** The problem's code, where the admin API sent one. */
  readonly code: string
  readonly details: string | undefined
  constructor(
    message: string,
    options: {
      exitCode?: number
      code?: string
      hint?: string | undefined
      details?: string | undefined
      cause?: unknown
    } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'CliError'
    this.code = options.code ?? 'failed'
    this.exitCode = options.exitCode ?? (options.code === undefined ? EXIT.failed : exitCodeOf(options.code))
    this.hint = options.hint
    this.details = options.details
  }
}

interface Report {
  readonly exitCode: number
  readonly code: string
  readonly message: string
  readonly details?: string | undefined
  readonly hint?: string | undefined
}

/** Says on stderr what went wrong and what to do. @returns the exit code */
export function reportFailure(error: unknown, terminal: Terminal): number {
  // Commander has written its message already; help and version are no failures.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  const report = reportOf(error)
  if (terminal.json) {
    const { exitCode: _, ...rest } = report
    terminal.err(JSON.stringify({ error: rest }))
  } else {
    terminal.err(`${terminal.paint('red', 'error:')} ${report.message}`)
    if (report.details) terminal.err(`  ${report.details}`)
    if (report.hint) terminal.err(`${terminal.paint('cyan', 'hint:')} ${report.hint}`)
  }
  if (terminal.debug) terminal.err(String((error as Error)?.stack ?? error))
  return report.exitCode
}

function reportOf(error: unknown): Report {
  if (error instanceof CliError) {
    const { exitCode, code, message, details, hint } = error
    return { exitCode, code, message, details, hint }
  }
  if (isInnkeeperError(error)) {
    const { code, message, details, hint } = error
    return { code, message, details, hint, exitCode: exitCodeOf(code) }
  }
  if (isConfigError(error)) {
    const hint = 'Set the variables, or correct innkeeper.config.ts.'
    return { code: 'invalid_config', message: error.message, hint, exitCode: EXIT.usage }
  }
  const { message, code, errors } = error as NodeJS.ErrnoException & { errors?: unknown }
  if (code === 'EADDRINUSE') {
    const hint = 'Stop what listens there, or choose another port (--help says how).'
    return { code: 'failed', message, hint, exitCode: EXIT.refused }
  }
  if (code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'ETIMEDOUT' || code === 'CONNECT_TIMEOUT') {
    const first = Array.isArray(errors) ? String((errors[0] as Error | undefined)?.message ?? message) : message
    const hint = 'Check that the database servers run and that the URLs in the environment are right.'
    return { code: 'unavailable', message: first || `no connection (${code})`, hint, exitCode: EXIT.unavailable }
  }
  return {
    code: 'failed',
    message: message || String(error),
    hint: 'Run it again with --debug to see where.',
    exitCode: EXIT.failed,
  }
}

/** By name: its class would bring the whole configuration along, and with it a third of a second for every command. */
function isConfigError(error: unknown): error is ConfigError {
  return error instanceof Error && error.name === 'ConfigError'
}
