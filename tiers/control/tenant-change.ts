import type { Config } from '../../config/index.ts'
import { BY_PROGRAM, type By } from '../audit/entry.ts'
import { InnkeeperError } from '../errors.ts'
import { assertResidency, awayFaults, residencyFaults } from '../residency/faults.ts'
import type { AwayPolicy } from '../types.ts'
import { requirePeering, tierNamed } from './place.ts'
import type { NotedChange, TenantRecord, TenantStore } from './tenant-store.ts'

/** What is to be another; what is left out, or is so already, stays as it is. */
export interface TenantChange {
  readonly status?: 'active' | 'suspended' | undefined
  /** Of the same isolation model: a matter of limits. Another one needs a move. */
  readonly tier?: string | undefined
  /** Null for what its tier says. */
  readonly away?: AwayPolicy | null | undefined
}

/** The tenant before and after. */
export interface TenantChanged {
  readonly was: TenantRecord
  readonly now: TenantRecord
}

export interface TenantChanges {
  /**
   * All of it or nothing: every part is looked at before any is done, and they are written in one transaction with what the
   * audit log says of them.
   * @throws InnkeeperError `conflict`, `invalid_request`, `residency_violation`
   */
  changeTenant(slugOrId: string, change: TenantChange, by?: By): Promise<TenantChanged>
  suspend(slugOrId: string, by?: By): Promise<TenantRecord>
  resume(slugOrId: string, by?: By): Promise<TenantRecord>
  setTier(slugOrId: string, tier: string, by?: By): Promise<TenantRecord>
  setAway(slugOrId: string, away: AwayPolicy | null, by?: By): Promise<TenantRecord>
}

export interface TenantChangesDeps {
  readonly config: Config
  readonly store: TenantStore
  tenant(slugOrId: string): Promise<TenantRecord>
}

export function tenantChanges({ config, store, tenant }: TenantChangesDeps): TenantChanges {
  const changeTenant = async (slugOrId: string, change: TenantChange, by = BY_PROGRAM): Promise<TenantChanged> => {
    if (change.tier !== undefined) tierNamed(config, change.tier)
    requirePeering(config, change.away ?? null)
    const { id } = await tenant(slugOrId)
    return store.exclusively(id, async () => {
      const was = await tenant(id)
      const parts = partsOf(config, was, change, by)
      if (parts.length === 0) return { was, now: was }
      await store.change(id, parts)
      return { was, now: await tenant(id) }
    })
  }
  const changed = async (slugOrId: string, change: TenantChange, by?: By) =>
    (await changeTenant(slugOrId, change, by)).now
  return {
    changeTenant,
    suspend: (slugOrId, by) => changed(slugOrId, { status: 'suspended' }, by),
    resume: (slugOrId, by) => changed(slugOrId, { status: 'active' }, by),
    setTier: (slugOrId, tier, by) => changed(slugOrId, { tier }, by),
    setAway: (slugOrId, away, by) => changed(slugOrId, { away }, by),
  }
}

/** What differs, each part with its own entry in the audit log, because each is a right of other roles. */
function partsOf(config: Config, was: TenantRecord, { status, tier, away }: TenantChange, by: By): NotedChange[] {
  const parts: NotedChange[] = []
  if (tier !== undefined && tier !== was.tier) {
    assertTier(config, was, tier)
    parts.push({ values: { tier }, note: { action: 'tenant.tier', by } })
  }
  if (away !== undefined && away !== (was.away ?? null)) {
    assertResidency(was, 'The away policy', awayFaults(config, was, away))
    parts.push({ values: { away }, note: { action: 'tenant.away', by } })
  }
  if (status !== undefined && status !== was.status) {
    const from = status === 'active' ? 'suspended' : 'active'
    if (was.status !== from) throw new InnkeeperError('conflict', `The tenant is ${was.status}`, { field: 'status' })
    const action = status === 'active' ? 'tenant.resume' : 'tenant.suspend'
    parts.push({ values: { status }, note: { action, by } })
  }
  return parts
}

function assertTier(config: Config, was: TenantRecord, tier: string): void {
  const { isolation } = tierNamed(config, tier)
  const { slug, region, placement } = was
  if (placement !== null && placement.isolation !== isolation) {
    throw new InnkeeperError('conflict', `Tier ${tier} needs a move`, {
      field: 'tier',
      details: `${slug} lives on model ${placement.isolation}, and tier ${tier} is of model ${isolation}`,
      hint: 'Choose a tier of the same isolation model, or move the tenant.',
    })
  }
  const home = { tier, region, cluster: placement?.cluster ?? null }
  assertResidency(was, 'A change of tier', residencyFaults(config, was, home))
}
