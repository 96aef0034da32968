import type { AwayPolicy, Config, TierConfig } from '../../../config/index.ts'
import type { Attendance } from '../../../tiers/residency/attendance.ts'
import { awayPolicyOf } from '../../../tiers/residency/policy.ts'
import type { Tenant } from '../../../tiers/types.ts'
import { type GatewayContext, setHeader } from '../env.ts'
import { misdirected } from '../home-region.ts'
import type { Naming } from '../identify/naming.ts'
import type { Forward } from './forward.ts'
import { originForm } from './original.ts'
import { homeAddress } from './redirect.ts'

/**
 * Tells the listener that the answer is on its way. A clone, since that is a plain Response: the listener would send the
 * head of one that it can see through.
 */
const ALREADY_SENT = new Response(null, { headers: { 'x-hono-already-sent': 'true' } }).clone()

export interface AwayOptions {
  readonly config: Config
  /** Null where no key is shared with the other gateways. */
  readonly forward: Forward | null
  /** Told whose requests pass through here. */
  readonly served?: Attendance['served'] | undefined
}

export interface AwayRequest {
  readonly tenant: Tenant
  readonly tier: TierConfig
  /** How the client named the tenant, beside its credential. */
  readonly namings: readonly Naming[]
  /** Told the status of the home region's answer. */
  readonly answered: (status: number) => void
}

/** Answers a request for a tenant of another region, by the tenant's policy. Nothing of the body has been read. */
export type Away = (c: GatewayContext, request: AwayRequest) => Promise<Response>

/** The answer throws `misdirected_region` for a tenant whose requests are refused here, and for one forwarded already. */
export function createAway({ config, forward, served }: AwayOptions): Away {
  return async function away(c, { tenant, tier, namings, answered }) {
    // One hop at most: two gateways that disagree on who is home would send it to and fro.
    const policy = c.get('hop') === undefined ? policyOf(tenant, config, forward) : 'reject'
    if (policy === 'forward') {
      served?.(tenant.id, 'forwarded')
      await forward!(c, tenant, tier, answered)
      return ALREADY_SENT
    }
    closeUnreadBody(c)
    if (policy === 'reject') throw misdirected(tenant, config)
    const location = homeAddress(tenant, namings, originForm(c.env.incoming?.url ?? c.req.path), config)
    return c.body(null, 307, { location })
  }
}

function policyOf(tenant: Tenant, config: Config, forward: Forward | null): AwayPolicy {
  const policy = awayPolicyOf(config, tenant)
  // Without a shared key nothing can be forwarded: refusing is the safe side.
  return policy === 'forward' && forward === null ? 'reject' : policy
}

/** What is still on its way is not this region's to receive: the connection ends with the answer. */
function closeUnreadBody(c: GatewayContext): void {
  const { headers } = c.req.raw
  if (headers.has('transfer-encoding') || Number(headers.get('content-length') ?? 0) > 0) {
    setHeader(c, 'connection', 'close')
  }
}
