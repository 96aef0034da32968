import type { Attributes } from '../../tiers/telemetry.ts'

/** Keeps the number of metric series bounded: the first so many tenants have labels of their own, the rest share `other`. */
export type BoundLabels = (attributes: Attributes) => Attributes

export function createBoundLabels(tenantsMax: number): BoundLabels {
  const known = new Set<string>()
  return function boundLabels(attributes) {
    const id = attributes.tenant_id
    if (typeof id !== 'string' || known.has(id)) return attributes
    if (known.size < tenantsMax) {
      known.add(id)
      return attributes
    }
    return { ...attributes, tenant_id: 'other', tenant_slug: 'other' }
  }
}
