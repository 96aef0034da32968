import { randomBytes } from 'node:crypto'
import { isTenantId, type TenantId } from '../types.ts'

/**
 * The text of an API key: `ink_{tenant id}_{secret}`. The tenant stands in clear, so that any gateway can route by it
 * without a look-up; the secret is 32 random bytes, so a plain SHA-256 of it is safe to store.
 */
const KEY = /^ink_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/

export function makeKeyText(tenantId: TenantId): string {
  return `ink_${tenantId.replaceAll('-', '')}_${randomBytes(32).toString('base64url')}`
}

/** The tenant that a key names, or null when the text is not a key at all. Proves nothing. */
export function tenantOfKeyText(text: string): TenantId | null {
  const hex = KEY.exec(text)?.[1]
  if (hex === undefined) return null
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  return isTenantId(id) ? id : null
}
