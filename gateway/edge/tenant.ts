import type { Config, TierConfig } from '../../config/index.ts'
import { InnkeeperError, isInnkeeperError } from '../../tiers/errors.ts'
import type { Attendance } from '../../tiers/residency/attendance.ts'
import type { Tenant } from '../../tiers/types.ts'
import type { Admission } from './admit.ts'
import type { Authenticate, AwayTenant } from './authenticate.ts'
import type { Away } from './away/away.ts'
import { requireGoodHop, requireHopOf } from './away/hop.ts'
import { limitBody } from './body-limit.ts'
import { type Credential, readCredential } from './credential.ts'
import { type GatewayContext, type GatewayMiddleware, type Principal, setHeaders } from './env.ts'
import type { Failures } from './failures.ts'
import type { Naming } from './identify/naming.ts'
import type { Identify } from './identify.ts'
import type { Peers } from './peer.ts'
import { rateLimitHeaders, refusedHeaders } from './rate-limit-headers.ts'
import { requireScope, scopeOfMethod } from './scope.ts'
import type { Usage } from './usage.ts'
import { whenOver } from './when-over.ts'

export interface TenantOptions {
  readonly config: Config
  readonly peers: Peers
  readonly identify: Identify
  readonly authenticate: Authenticate
  readonly failures: Failures
  readonly admission: Admission
  readonly away: Away
  /** Told whose requests are answered here. */
  readonly served?: Attendance['served'] | undefined
}

/**
 * Finds whose request it is and lets it in: identify, authenticate, home region, scope, limits. Behind it a handler has
 * its tenant, and there is no other way to one.
 */
export function tenant(options: TenantOptions): GatewayMiddleware {
  const { config, identify, admission } = options
  return async function tenant(c, next) {
    requireGoodHop(c)
    const namings = identify(c)
    // Without a credential the answer is 401 before anything is looked up: it says nothing about who is a tenant here.
    const credential = readCredential(c.req.raw.headers)
    if (namings.length === 0 && !config.identify.strategies.includes('credential')) {
      throw new InnkeeperError('tenant_not_found', 'The request names no tenant')
    }
    const principal = await authenticateOnce(c, credential, namings, options)
    const { tenant } = principal
    if (principal.kind === 'away') {
      const answered = (status: number) => noteAnswer(c, credential, tenant, status, options)
      return options.away(c, { tenant, tier: tierOf(config, tenant), namings, answered })
    }
    requireHopOf(c, tenant)
    requireScope(principal, scopeOfMethod(c.req.method))
    options.served?.(tenant.id, 'home')

    const tier = tierOf(config, tenant)
    const usage = admit(c, admission, tenant, tier)
    try {
      await limitBody(c, tier.limits.bodyBytesMax)
      c.set('principal', principal)
      c.set('tenant', tenant)
      c.set('tier', tier)
      c.set('user', principal.user)
      await next()
    } finally {
      // An answer is held until its client has taken it: whoever does not read could have any number of them here.
      whenOver(c, () => admission.release(usage))
    }
  }
}

/** Home has looked at the credential: its answer counts here as it does there. */
function noteAnswer(
  c: GatewayContext,
  credential: Credential,
  tenant: Tenant,
  status: number,
  { peers, failures }: TenantOptions,
): void {
  const ip = peers.clientIp(c)
  if (status === 401) failures.failed(ip)
  if (status >= 400) return
  failures.proved(ip, credential.key?.tenantId ?? 'jwt')
  c.get('observed').setTenant(tenant)
}

/** Authenticates under the limit on failed attempts of the client's address. */
async function authenticateOnce(
  c: GatewayContext,
  credential: Credential,
  namings: readonly Naming[],
  { peers, failures, authenticate }: TenantOptions,
): Promise<Principal | AwayTenant> {
  const ip = peers.clientIp(c)
  const claimed = credential.key?.tenantId ?? 'jwt'
  failures.check(ip, claimed)
  try {
    const observed = c.get('observed')
    const principal = await authenticate(credential, namings, {
      proved: (tenant) => observed.setTenant(tenant),
      away: () => observed.setAway(),
      lookUps: {
        check: (tenant) => failures.checkNames(ip, tenant.id),
        failed: (tenant) => failures.misnamed(ip, tenant.id),
      },
    })
    if (principal.kind !== 'away') failures.proved(ip, claimed)
    return principal
  } catch (error) {
    if (isInnkeeperError(error, 'unauthenticated')) failures.failed(ip)
    throw error
  }
}

/** Lets the request in, and says in the answer's headers how much is left, also where nothing is. */
function admit(c: GatewayContext, admission: Admission, tenant: Tenant, { limits }: TierConfig): Usage {
  try {
    const usage = admission.admit(tenant.id, limits)
    setHeaders(c, rateLimitHeaders(limits, usage))
    return usage
  } catch (error) {
    setHeaders(c, refusedHeaders(limits, admission.usageOf(tenant.id, limits)))
    throw error
  }
}

function tierOf(config: Config, tenant: Tenant): TierConfig {
  if (!Object.hasOwn(config.tiers, tenant.tier)) {
    throw new InnkeeperError('invalid_config', `The tenant's tier "${tenant.tier}" is not in the configuration`)
  }
  return config.tiers[tenant.tier]!
}
