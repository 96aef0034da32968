/**
 * A value that is kept out of the configuration file: the name of an environment variable. It is read only by the
 * process that needs it, so a gateway of one region never holds the credentials of another.
 */
export interface Secret {
  readonly env: string
}

/** Names the environment variable a credential is read from. Upper case letters, digits and underscores. */
export function secret(env: string): Secret {
  return { env }
}
