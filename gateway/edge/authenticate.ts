import type { Directory } from '../../tiers/directory/types.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { KeyVerifier } from '../../tiers/keys/types.ts'
import { isSlug } from '../../tiers/slug.ts'
import { isTenantId, type Tenant, type TenantId } from '../../tiers/types.ts'
import { type LookUps, requireAgreement } from './agree.ts'
import { badKey, verifyKey } from './api-key.ts'
import type { Credential } from './credential.ts'
import type { Principal } from './env.ts'
import { isHome, requireActive, requireRoom } from './home-region.ts'
import type { Naming } from './identify/naming.ts'
import type { VerifiedJwt, VerifyJwt } from './jwt.ts'

export interface AuthenticateOptions {
  /** This gateway's. */
  readonly region: string
  readonly directory: Directory
  readonly keys: KeyVerifier
  readonly verifyJwt: VerifyJwt
}

/** The credential names a tenant of another region; an API key is not proven. */
export interface AwayTenant {
  readonly kind: 'away'
  readonly tenant: Tenant
}

export type Authenticate = (
  credential: Credential,
  namings: readonly Naming[],
  found: Found,
) => Promise<Principal | AwayTenant>

/** Told as soon as it is known, since what comes after may fail. */
export interface Found {
  /** The credential is the tenant's. */
  proved(tenant: Tenant): void
  /** The tenant lives in another region, and what it sent is not this one's to note. */
  away(): void
  readonly lookUps: LookUps
}

/**
 * Who is asking, for which tenant, and may they ask here. The order of the steps is what keeps it from telling anybody
 * about tenants that are not theirs:
 *
 *   1. a JWT is verified first, here: its keys are public
 *   2. the credential's tenant is looked up. An API key that names nobody is a bad key, not an unknown tenant
 *   3. away from home a key cannot be verified, since only home has the hashes: it is a hint where to send the request
 *   4. at home the key is verified, and only then do 403 and 404 say what the other identifiers name
 */
export function createAuthenticate({ region, directory, keys, verifyJwt }: AuthenticateOptions): Authenticate {
  return async function authenticate({ key, jwt }, namings, found) {
    const token = jwt === null ? null : await verifyJwt(jwt)
    const tenant = key === null ? await tenantOfToken(token!, directory) : await tenantOfKey(key.tenantId, directory)
    if (key !== null && token !== null) requireSameTenant(tenant, token)

    const isAway = !isHome(tenant, region)
    if (isAway) found.away()
    else requireRoom(tenant)
    const record = key === null || isAway ? null : await verifyKey(keys, key)
    await requireAgreement(namings, tenant, directory, key === null || record !== null, found.lookUps)
    if (isAway) return { kind: 'away', tenant }
    found.proved(tenant)
    requireActive(tenant)

    if (record === null) {
      return { kind: 'jwt', tenant, keyId: null, scopes: token!.scopes, user: token!.user }
    }
    // The key says what its holder may do at the most, the token what its user may.
    const scopes = token === null ? record.scopes : record.scopes.filter((scope) => token.scopes.includes(scope))
    return { kind: 'api_key', tenant, keyId: record.id, scopes, user: token?.user ?? null }
  }
}

async function tenantOfKey(id: TenantId, directory: Directory): Promise<Tenant> {
  const peeked = directory.peekId(id)
  const tenant = peeked === undefined ? await directory.byId(id) : peeked
  if (tenant === null) throw badKey()
  return tenant
}

async function tenantOfToken({ tenant: named }: VerifiedJwt, directory: Directory): Promise<Tenant> {
  let tenant: Tenant | null = null
  if (isTenantId(named)) tenant = directory.peekId(named) ?? (await directory.byId(named))
  else if (isSlug(named)) tenant = directory.peekSlug(named) ?? (await directory.bySlug(named))
  if (tenant === null) throw new InnkeeperError('tenant_not_found', 'There is no tenant that the token could name')
  return tenant
}

function requireSameTenant(tenant: Tenant, token: VerifiedJwt): void {
  if (token.tenant === tenant.id || token.tenant === tenant.slug) return
  throw new InnkeeperError('tenant_mismatch', 'The API key and the token are of different tenants')
}
