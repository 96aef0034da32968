import { isTenantId } from './types.ts'

/** A DNS label, so that a slug can always be a subdomain: letters, digits and inner dashes, 1 to 63 of them (RFC 1123). */
const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** Whether the text can be a tenant's slug. Upper case is not folded: one tenant has one spelling. */
export function isSlug(text: string): boolean {
  return SLUG.test(text)
}

/** Whether a new tenant may have it. What reads as an id is looked up as one, and would name another tenant. */
export function mayBeSlug(text: string): boolean {
  return isSlug(text) && !isTenantId(text)
}
