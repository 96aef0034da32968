import type { Config } from '../../config/index.ts'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { Tenant } from '../../tiers/types.ts'
import { MisdirectedRegionError } from './problem.ts'

const PROVISIONING_RETRY_MS = 1_000

export function isHome(tenant: Tenant, region: string): boolean {
  return tenant.region === region
}

/** The answer to a request for a tenant that lives in another region: where to go. Never a fallback to this region. */
export function misdirected(tenant: Tenant, config: Config): MisdirectedRegionError {
  const url = config.regions.get(tenant.region)?.url ?? ''
  return new MisdirectedRegionError(
    `The tenant lives in region ${tenant.region}`,
    url,
    url === '' ? 'Ask the operator for the address of that region.' : `Send the request to ${url}.`,
  )
}

/**
 * What can be said before a credential is verified, since its keys may be gone with the room or not there yet.
 * @throws InnkeeperError `tenant_gone`, or `tenant_moving` while the first room is being made
 */
export function requireRoom(tenant: Tenant): void {
  if (tenant.status === 'offboarded') {
    throw new InnkeeperError('tenant_gone', 'The tenant was offboarded', { hint: 'Its data is gone for good.' })
  }
  if (tenant.status === 'provisioning') {
    throw new InnkeeperError('tenant_moving', 'The tenant is still being set up', {
      retryAfterMs: PROVISIONING_RETRY_MS,
    })
  }
}

/** @throws InnkeeperError `tenant_suspended`: told only to who holds a credential of the tenant */
export function requireActive(tenant: Tenant): void {
  if (tenant.status === 'suspended') {
    throw new InnkeeperError('tenant_suspended', 'The tenant is suspended', { hint: 'Ask the operator.' })
  }
}
