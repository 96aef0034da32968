import type { Command } from 'commander'
import { cliEnvironment } from '../../config/environment.ts'
import { type AdminClient, adminClient } from './admin-client.ts'
import { processTerminal, type Terminal } from './terminal.ts'

/** Options that every command takes. */
export interface GlobalOptions {
  readonly json?: boolean
  readonly debug?: boolean
  readonly adminUrl?: string
  readonly adminToken?: string
  readonly state: string
}

/** What a command works with. */
export interface Cli {
  readonly terminal: Terminal
  /** Finds the admin API. @throws CliError where neither flags, environment nor state folder say where it is */
  admin(): Promise<AdminClient>
}

/** @param command the one that runs: its parents' options count as well */
export function cliOf(command: Command): Cli {
  const { json = false, debug = false, adminUrl, adminToken, state } = command.optsWithGlobals<GlobalOptions>()
  const env = cliEnvironment()
  return {
    terminal: processTerminal({ json, debug, noColor: env.noColor }),
    admin: () => adminClient({ url: adminUrl ?? env.adminUrl, token: adminToken ?? env.adminToken, state }),
  }
}
