import { InnkeeperError } from '../../../tiers/errors.ts'
import { isSlug } from '../../../tiers/slug.ts'
import { isTenantId } from '../../../tiers/types.ts'
import type { Naming, Strategy } from './naming.ts'

/** X-Tenant-ID, a slug or an id. The clues hold it only where a trusted peer sent it. */
export const byHeader: Strategy = function header({ tenantHeader }): Naming | null {
  if (tenantHeader === null) return null
  const source = 'the X-Tenant-ID header'
  // A slug may look like an id; an id is far the likelier, and either way the credential has the last word.
  if (isTenantId(tenantHeader)) return { kind: 'id', value: tenantHeader, source }
  if (isSlug(tenantHeader)) return { kind: 'slug', value: tenantHeader, source }
  throw new InnkeeperError('invalid_request', 'X-Tenant-ID is neither a tenant slug nor a tenant id', {
    field: 'X-Tenant-ID',
    hint: 'Send one header, with one slug or one id.',
  })
}
