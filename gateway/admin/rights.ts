import { InnkeeperError, isInnkeeperError } from '../../tiers/errors.ts'
import { may, type Right, rolesWith } from '../../tiers/operators/roles.ts'
import { byOf } from './changes.ts'
import type { AdminContext, AdminDeps, AdminMiddleware } from './env.ts'
import { operations } from './openapi/operations.ts'

const asked = operations.map(({ method, path, right }) => ({
  method: method.toUpperCase(),
  path: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
  right,
}))

/**
 * Asks the caller's role for the right that the operation names. What is not in the list of operations is for admins: an
 * endpoint that was forgotten there is shut, not open.
 */
export const requireListedRight: AdminMiddleware = async function requireListedRight(c, next) {
  const method = c.req.method === 'HEAD' ? 'GET' : c.req.method
  const operation = asked.find((o) => o.method === method && o.path.test(c.req.path))
  if (operation !== undefined) requireRight(c, operation.right)
  else if (c.get('role') !== 'admin') throw forbidden(c, 'this', ['admin'])
  await next()
}

/** @throws InnkeeperError `forbidden` naming the roles that have the right */
export function requireRight(c: AdminContext, right: Right): void {
  if (!may(c.get('role'), right)) throw forbidden(c, right, rolesWith(right))
}

function forbidden(c: AdminContext, right: string, roles: readonly string[]): InnkeeperError {
  return new InnkeeperError('forbidden', `The role ${c.get('role')} does not have the right: ${right}`, {
    hint: `Ask somebody in the role ${roles.join(' or ')}.`,
  })
}

/** Writes down what was asked for and refused, by role or by residency. What was malformed is no attempt at anything. */
export function recordRefusals({ control, log }: Pick<AdminDeps, 'control' | 'log'>): AdminMiddleware {
  return async function recordRefusals(c, next) {
    await next()
    const { error } = c
    if (c.get('role') === undefined) return
    if (!isInnkeeperError(error, 'forbidden') && !isInnkeeperError(error, 'residency_violation')) return
    const details = { method: c.req.method, path: c.req.path, code: error.code, message: error.message }
    try {
      await control.audit.append({
        action: 'refused',
        by: byOf(c),
        tenant: c.get('tenant'),
        details,
        outcome: 'refused',
      })
    } catch (failure) {
      // Nothing was done, and that is answered in any case.
      log.error({ failure, ...details }, 'a refusal could not be written down')
    }
  }
}
