/** The question that the `postgres` package asks on each new connection, in a promise that nobody holds. */
const TYPES_QUERY = 'select b.oid, b.typarray'

/**
 * Keeps a process alive whose database dies just when it connects: the package's own question about array types then fails
 * as an unhandled rejection, which would end the process (what was asked on the connection fails as it should). Every other
 * rejection that nobody handles ends the process as before.
 */
export function surviveLostTypeQueries(): void {
  process.on('unhandledRejection', (reason) => {
    const { query } = (reason ?? {}) as { query?: unknown }
    if (typeof query === 'string' && query.trimStart().startsWith(TYPES_QUERY)) return
    throw reason
  })
}
