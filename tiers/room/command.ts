import { InnkeeperError } from '../errors.ts'

/** What a tenant's statement may be, by the server's own command tag. */
const ALLOWED = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/**
 * Anything else may leave something behind in the session (SET, PREPARE, DECLARE, LISTEN, BEGIN) or tell of the planner
 * (EXPLAIN). Its result is withheld, and the caller gives the connection up.
 */
export function assertCommand(command: string): void {
  if (ALLOWED.has(command) || command === '') return
  throw new InnkeeperError('forbidden', `${command} is not a statement for a tenant's room`, {
    hint: 'Use SELECT, INSERT, UPDATE, DELETE or MERGE; transactions and settings go through the options of the interface.',
  })
}
