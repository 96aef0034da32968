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
import { RefusedClaims, type VerifiedJwt, type VerifyJwt } from './jwt.ts'

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
 *   1. the key's tenant is looked up, since of another region's nothing may be noted, whatever comes of the request
 *   2. a JWT is verified, here: its keys are public. Only then is an API key that names nobody a bad key, not an unknown tenant
 *   3. away from home a key cannot be verified, since only home has the hashes: it is a hint where to send the request
 *   4. at home the key is verified, and only then do 403 and 404 say what the other identifiers name
 */
export function createAuthenticate({ region, directory, keys, verifyJwt }: AuthenticateOptions): Authenticate {
  /** What an expired token asks of a tenant of another region is no more this one's to note than what a good one asks. */
  async function verify(jwt: string, found: Found): Promise<VerifiedJwt> {
    try {
      return await verifyJwt(jwt)
    } catch (error) {
      const tenant = error instanceof RefusedClaims ? await tenantOfToken(error.tenant, directory) : null
      if (tenant !== null && !isHome(tenant, region)) found.away()
      throw error
    }
  }

  return async function authenticate({ key, jwt }, namings, found) {
    const keyed = key === null ? null : await tenantOfKey(key.tenantId, directory)
    if (keyed !== null && !isHome(keyed, region)) found.away()
    const token = jwt === null ? null : await verify(jwt, found)
    if (key !== null && keyed === null) throw badKey()
    const tenant = keyed ?? (await tenantOfToken(token!.tenant, directory))
    if (tenant === null) throw new InnkeeperError('tenant_not_found', 'There is no tenant that the token could name')
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

async function tenantOfKey(id: TenantId, directory: Directory): Promise<Tenant | null> {
  const peeked = directory.peekId(id)
  return peeked === undefined ? directory.byId(id) : peeked
}

async function tenantOfToken(named: string, directory: Directory): Promise<Tenant | null> {
  if (isTenantId(named)) return directory.peekId(named) ?? directory.byId(named)
  if (isSlug(named)) return directory.peekSlug(named) ?? directory.bySlug(named)
  return null
}

function requireSameTenant(tenant: Tenant, token: VerifiedJwt): void {
  if (token.tenant === tenant.id || token.tenant === tenant.slug) return
  throw new InnkeeperError('tenant_mismatch', 'The API key and the token are of different tenants')
}
