/**
 * Who may do what by the admin API: the one table of it. A right that is not in it does not exist; a role that a right does
 * not name does not have it.
 */

export const ROLES = ['viewer', 'support', 'sales', 'compliance', 'admin'] as const
export type Role = (typeof ROLES)[number]

const RIGHTS = {
  /** Tenants, domains, keys without their texts, moves, the doctor. */
  read: ['viewer', 'support', 'sales', 'compliance', 'admin'],
  /** Whoever has one of the three below; which one is asked for is in the body. */
  'tenant.change': ['support', 'sales', 'compliance', 'admin'],
  'tenant.status': ['support', 'admin'],
  'tenant.tier': ['sales', 'admin'],
  'tenant.away': ['compliance', 'admin'],
  'tenant.create': ['sales', 'admin'],
  'tenant.move': ['sales', 'admin'],
  /** Abort, roll back, complete. */
  'move.control': ['support', 'sales', 'admin'],
  'tenant.offboard': ['admin'],
  'tenant.residency': ['compliance', 'admin'],
  /** SQL with a tenant's own rights. */
  'tenant.sql': ['support', 'admin'],
  'key.write': ['support', 'admin'],
  'domain.write': ['support', 'sales', 'admin'],
  'residency.report': ['compliance', 'admin'],
  'audit.read': ['compliance', 'admin'],
  migrate: ['admin'],
  /** The control database was restored. */
  incarnation: ['admin'],
  operators: ['admin'],
} as const satisfies Record<string, readonly Role[]>

export type Right = keyof typeof RIGHTS

export function may(role: Role, right: Right): boolean {
  return (RIGHTS[right] as readonly Role[]).includes(role)
}

export function rolesWith(right: Right): readonly Role[] {
  return RIGHTS[right]
}
