/**
 * What surrounds a process: the only module that reads its environment variables. The rest is handed what it needs.
 */
export type Environment = Readonly<Record<string, string | undefined>>

export const environment = (): Environment => process.env

/** What the command line takes from the environment where a flag is left out. An empty variable counts as not set. */
export interface CliEnvironment {
  readonly adminUrl: string | undefined
  readonly adminToken: string | undefined
  readonly noColor: boolean
}

export function cliEnvironment(env: Environment = environment()): CliEnvironment {
  return {
    adminUrl: env.INNKEEPER_ADMIN_URL || undefined,
    adminToken: env.INNKEEPER_ADMIN_TOKEN || undefined,
    // https://no-color.org: any value that is not empty. A dumb terminal shows the codes as text.
    noColor: Boolean(env.NO_COLOR) || env.TERM === 'dumb',
  }
}
