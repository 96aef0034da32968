import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { quoteLiteral } from '../quote.ts'

/** As PostgreSQL has them by itself. */
const ITERATIONS = 4096
const SALT_BYTES = 16

/**
 * A password as a literal for CREATE and ALTER ROLE: what the server would keep of it (RFC 5802, SCRAM-SHA-256), so that
 * the password itself is in no statement, and so in no log, no pg_stat_activity and no pg_stat_statements.
 *
 * Other characters than those of ASCII would have to be normalised as the server does (RFC 4013): then it is the text.
 */
export function passwordLiteral(password: string, salt: Buffer = randomBytes(SALT_BYTES)): string {
  if (!/^[\x20-\x7e]+$/.test(password)) return quoteLiteral(password)
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256')
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest()
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64')
  return `'SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${stored}:${hmac('Server Key').toString('base64')}'`
}
