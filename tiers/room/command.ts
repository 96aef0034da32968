import { InnkeeperError } from '../errors.ts'

/** What a tenant's statement may be, by the server's own command tag. */
const ALLOWED = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/** How such a statement begins. What PostgreSQL takes for space, and no more. */
const FIRST_WORD = /^[ \t\n\r\f\v(]*(?:select|insert|update|delete|merge|with|values|table)\b/i

/**
 * Refuses, before it is sent, what does not begin as a statement for a room: the server would have executed and committed
 * it by the time its tag is known. `ALTER ROLE` of one's own login (its password, its defaults) needs no right at all, and
 * `EXECUTE` runs the text that another tenant's statement left prepared on the connection. The extended protocol takes one
 * statement, so the first word tells what it is.
 *
 * @throws InnkeeperError `forbidden`
 */
export function assertStatement(text: string): void {
  if (FIRST_WORD.test(text)) return
  const rest = text.slice(afterComments(text))
  if (rest === '' || FIRST_WORD.test(rest)) return
  throw refusal(/^\w*/.exec(rest)![0].toUpperCase() || 'This')
}

/** Where the first word stands. Comments nest, and a line's ends at a carriage return too. */
function afterComments(text: string): number {
  let at = 0
  let depth = 0
  while (at < text.length) {
    const two = text.slice(at, at + 2)
    if (two === '/*') {
      depth++
      at += 2
    } else if (depth > 0) {
      if (two === '*/') depth--
      at += two === '*/' ? 2 : 1
    } else if (two === '--') {
      while (at < text.length && text[at] !== '\n' && text[at] !== '\r') at++
    } else if (' \t\n\r\f\v('.includes(text[at]!)) at++
    else return at
  }
  return at
}

/**
 * Anything else may leave something behind in the session (SET, PREPARE, DECLARE, LISTEN, BEGIN) or tell of the planner
 * (EXPLAIN). Its result is withheld, and the caller gives the connection up.
 */
export function assertCommand(command: string): void {
  if (ALLOWED.has(command) || command === '') return
  throw refusal(command)
}

function refusal(command: string): InnkeeperError {
  return new InnkeeperError('forbidden', `${command} is not a statement for a tenant's room`, {
    hint: 'Use SELECT, INSERT, UPDATE, DELETE or MERGE; transactions and settings go through the options of the interface.',
  })
}
