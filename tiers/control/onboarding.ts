import { createHash } from 'node:crypto'
import type postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import type { Config } from '../../config/index.ts'
import { BY_PROGRAM, type By } from '../audit/entry.ts'
import { InnkeeperError, isInnkeeperError } from '../errors.ts'
import type { Moves } from '../move/moves.ts'
import { assertResidency, awayFaults, residencyFaults } from '../residency/faults.ts'
import { residencyOf } from '../residency/policy.ts'
import { assertProfile } from '../residency/profiles.ts'
import { roomFor } from '../rooms/naming.ts'
import { mayBeSlug } from '../slug.ts'
import type { AwayPolicy, TenantId } from '../types.ts'
import { assertCurrentClusters } from './epochs.ts'
import { chooseCluster, regionNamed, requirePeering, tierNamed } from './place.ts'
import type { RegionStores } from './region-stores.ts'
import type { TenantRecord, TenantStore } from './tenant-store.ts'

export interface CreateTenant {
  readonly slug: string
  /** The configuration's default tier where left out. */
  readonly tier?: string | undefined
  readonly region: string
  /** Its tier's where left out. */
  readonly away?: AwayPolicy | null | undefined
  /** What it is kept to from its beginning. */
  readonly profile?: string | null | undefined
  readonly pinned?: readonly string[] | null | undefined
  readonly idempotencyKey?: string | undefined
  readonly domains?: readonly string[] | undefined
}

/** How tenants come and go. */
export interface Onboarding {
  /**
   * Makes a tenant with its room. Repeatable: the same call with the same idempotency key finishes what a killed one
   * began and returns the same tenant, as it is now.
   *
   * @throws InnkeeperError `conflict` where the slug or a domain is taken, or the key was used for another request
   */
  createTenant(request: CreateTenant, by?: By): Promise<TenantRecord>
  /** Refuses the tenant's requests for good and removes its room with all that is in it. */
  offboard(slugOrId: string, by?: By): Promise<TenantRecord>
  /** Finishes tenants that a killed process left half made, or half removed. @returns their slugs */
  recover(): Promise<string[]>
}

export interface OnboardingDeps {
  readonly config: Config
  /** Of the control database. */
  readonly sql: postgres.Sql
  readonly store: TenantStore
  readonly regions: RegionStores
  readonly moves: Moves
  tenant(slugOrId: string): Promise<TenantRecord>
}

export function onboarding({ config, sql, store, regions, moves, tenant }: OnboardingDeps): Onboarding {
  const { makerOf, keysOf } = regions
  const finish = (begun: TenantRecord) =>
    store.exclusively(begun.id, async () => {
      const now = await tenant(begun.id)
      if (now.status !== 'provisioning') return now
      const { cluster, database, schema, isolation } = now.placement!
      await makerOf(cluster).makeRoom(now.id, now.placement!)
      await store.setStatus(now.id, 'active')
      // A migration that began meanwhile has passed it over: it visits those that are made.
      if (isolation !== 'shared') await makerOf(cluster).migrate(database, schema)
      return tenant(now.id)
    })
  const offboard = async (slugOrId: string, by = BY_PROGRAM) => {
    const { id } = await tenant(slugOrId)
    return store.exclusively(id, async () => {
      const now = await tenant(id)
      await moves.assertNone(id)
      if (now.status !== 'offboarded') {
        const details = { placement: now.placement, domains: now.domains }
        await store.setStatus(id, 'offboarded', { action: 'tenant.offboard', by, details })
      }
      // As they are now: none is added any more.
      for (const domain of (await tenant(id)).domains) await store.removeDomain(id, domain)
      const keys = keysOf(now.region)
      for (const key of await keys.list(id)) await keys.revoke(id, key.id)
      if (now.placement !== null) {
        await makerOf(now.placement.cluster).removeRoom(id, now.placement)
        // The last of it: by this who was killed meanwhile is found again.
        await store.removePlacement(id)
      }
      return tenant(id)
    })
  }
  return {
    async createTenant(request, by = BY_PROGRAM) {
      const { slug, tier: tierName = config.defaultTier, region: regionName } = request
      const { away = null, profile = null, pinned = null, idempotencyKey = null } = request
      const domains = (request.domains ?? []).map((domain) => domain.toLowerCase())
      if (!mayBeSlug(slug)) {
        throw new InnkeeperError('invalid_request', 'The slug is not valid', {
          field: 'slug',
          hint: 'Use 1 to 63 lower-case letters, digits and dashes, with no dash at either end, and not the form of an id.',
        })
      }
      const region = regionNamed(config, regionName)
      const tier = tierNamed(config, tierName)
      requirePeering(config, away)
      const kept = { slug, profile, pinned }
      assertProfile(config, kept)
      const refused = (cluster: string | null) =>
        assertResidency(kept, 'Onboarding', [
          ...residencyFaults(config, kept, { tier: tierName, region: regionName, cluster }),
          ...awayFaults(config, kept, away),
        ])
      refused(null)
      await assertCurrentClusters(sql, [...region.clusters.keys()].map(makerOf))
      const id = uuidv7() as TenantId
      const requestDigest = idempotencyKey === null ? null : digestOf({ ...request, domains })
      const begun = await store.begin(
        { ...kept, id, tier: tierName, region: regionName, away, idempotencyKey, requestDigest },
        (loads, epoch) => {
          const cluster = chooseCluster(region, tier.isolation, loads, residencyOf(config, kept))
          refused(cluster)
          return roomFor(tier.isolation, cluster, id, epoch)
        },
        by,
      )
      const finished = await finish(begun)
      // Of one that has left since, there is nothing to finish.
      if (domains.length === 0 || finished.status === 'offboarded') return finished
      // After the room is made: a domain that is taken must not leave the tenant half made.
      for (const domain of domains) await added(slug, () => store.addDomain(begun.id, domain, by))
      return tenant(begun.id)
    },
    offboard,
    async recover() {
      // A copy restored from a backup knows tenants as half made that have long been whole, or elsewhere.
      try {
        await assertCurrentClusters(sql, [...regions.makers.values()])
      } catch (error) {
        if (isInnkeeperError(error, 'conflict')) return []
        throw error
      }
      const half = await store.list({ status: 'provisioning', limit: 1_000 })
      for (const one of half) await finish(one)
      // Their data is not to be there any more. What cannot be removed now `doctor` names.
      const leaving = await store.list({ status: 'offboarded', isPlaced: true, limit: 1_000 })
      const left = await Promise.allSettled(leaving.map((t) => offboard(t.id)))
      return [...half, ...leaving.filter((_, i) => left[i]!.status === 'fulfilled')].map((t) => t.slug)
    },
  }
}

/**
 * Of what was asked for, whatever the order of regions and domains. A tier that was left out stays left out: the
 * configuration's default may be another by the time that the request is repeated.
 */
function digestOf({ slug, tier, region, away = null, profile = null, pinned, domains }: CreateTenant): string {
  const request = [slug, tier, region, away, profile, pinned ? [...pinned].sort() : null, [...(domains ?? [])].sort()]
  return createHash('sha256').update(JSON.stringify(request)).digest('hex')
}

/** The tenant stands by then, so the error says that what is left to do is its domain. */
async function added(slug: string, add: () => Promise<void>): Promise<void> {
  try {
    await add()
  } catch (error) {
    if (!isInnkeeperError(error, 'conflict')) throw error
    throw new InnkeeperError('conflict', error.message, {
      field: 'domains',
      details: `tenant ${slug} was made without it`,
      hint: `Add another domain to it: POST /admin/v1/tenants/${slug}/domains`,
      cause: error,
    })
  }
}
