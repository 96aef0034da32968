import { InnkeeperError } from '../../tiers/errors.ts'
import type { Scope } from '../../tiers/keys/types.ts'
import type { Principal } from './env.ts'

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Reading needs `read`, anything else `write`; neither includes the other. */
export function scopeOfMethod(method: string): Scope {
  return READS.has(method) ? 'read' : 'write'
}

/** @throws InnkeeperError `forbidden` */
export function requireScope(principal: Principal, scope: Scope): void {
  if (principal.scopes.includes(scope)) return
  throw new InnkeeperError('forbidden', `The credential lacks the scope ${scope}`, {
    hint: `Use a key or token with the scope ${scope}.`,
  })
}
