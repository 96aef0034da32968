import type postgres from 'postgres'
import type { Config } from '../../config/index.ts'
import { BY_PROGRAM, type By } from '../audit/entry.ts'
import type { AuditLog } from '../audit/log.ts'
import type { Moves } from '../move/moves.ts'
import {
  assertResidency,
  awayFaults,
  type ResidencyFault,
  residencyFaults,
  sessionFaults,
} from '../residency/faults.ts'
import { residencyOf } from '../residency/policy.ts'
import { assertProfile } from '../residency/profiles.ts'
import type { SignedReport } from '../residency/report/document.ts'
import { residencyReport } from '../residency/report/report.ts'
import type { KnownRoom, Scan } from '../residency/scan/found.ts'
import { scanResidency } from '../residency/scan/survey.ts'
import type { RegionStores } from './region-stores.ts'
import type { TenantRecord, TenantStore } from './tenant-store.ts'

export interface Violation {
  readonly tenant: string
  readonly faults: readonly ResidencyFault[]
}

export interface KeptTo {
  /** Of the configuration; null for none, as it is where left out. */
  readonly profile?: string | null | undefined
  /** Regions; null for all that the profile allows, as they are where left out. */
  readonly pinned?: readonly string[] | null | undefined
}

/** What the control plane does about where tenants' data may be. */
export interface ResidencyControl {
  /**
   * Says what a tenant is kept to, from now on. It has to keep it already: a tenant that lives elsewhere is moved first.
   * @throws InnkeeperError `residency_violation` with everything that breaks it
   */
  setResidency(slugOrId: string, kept: KeptTo, by?: By): Promise<TenantRecord>
  /**
   * Asked before an operator sees rows of a tenant.
   * @throws InnkeeperError `residency_violation`
   */
  assertSession(tenant: TenantRecord, reason: string | null): void
  /** Whether its profile asks for operators who look at it to be written down; so does one that is not known. */
  isAccessAudited(tenant: TenantRecord): boolean
  /** Looks through every cluster and key store for what is of tenants that do not belong there. */
  scanResidency(): Promise<Scan>
  /** Where everything of a tenant's is and was, signed; and written down that it was asked for. */
  residencyReport(slugOrId: string, by?: By): Promise<SignedReport>
  /** Tenants whose home breaks what they are kept to: the configuration or their servers have changed. */
  residencyViolations(): Promise<Violation[]>
}

export interface ResidencyDeps {
  readonly config: Config
  /** Of the control database. */
  readonly sql: postgres.Sql
  readonly store: TenantStore
  readonly audit: AuditLog
  readonly moves: Moves
  readonly regions: RegionStores
  tenant(slugOrId: string): Promise<TenantRecord>
}

const PAGE = 500
const MOVE_FIRST = 'Move the tenant to where it keeps it, and complete the move; then say so.'

export function residencyControl({
  config,
  sql,
  store,
  audit,
  moves,
  regions,
  tenant,
}: ResidencyDeps): ResidencyControl {
  const { keysOf } = regions
  const scan = () => scanResidency({ config, regions, rooms: knownRooms, keysOf })
  const everyTenant = async () => {
    const all: TenantRecord[] = []
    for (;;) {
      const page = await store.list({ limit: PAGE, after: all.at(-1)?.slug })
      all.push(...page)
      if (page.length < PAGE) return all
    }
  }
  const knownRooms = async (): Promise<KnownRoom[]> => {
    const open = await moves.list({ open: true, limit: 10_000 })
    const homes = (await everyTenant()).map(({ id, region, placement }) => ({ id, region, placement }))
    const ends = open.flatMap(({ tenantId: id, from, to }) => [from, to].map((home) => ({ id, ...home })))
    return [...homes, ...ends].flatMap(({ id, region, placement }) => {
      if (placement === null) return []
      const { cluster, database, schema } = placement
      return [{ tenant: id, region, cluster, database, schema }]
    })
  }

  return {
    async setResidency(slugOrId, change, by = BY_PROGRAM) {
      assertProfile(config, change)
      const { id } = await tenant(slugOrId)
      return store.exclusively(id, async () => {
        const now = await tenant(id)
        const { profile = now.profile ?? null, pinned = now.pinned ?? null } = change
        const kept = { slug: now.slug, profile, pinned: pinned && [...new Set(pinned)] }
        const homes = [{ tier: now.tier, region: now.region, cluster: now.placement?.cluster ?? null }]
        // A move that has not ended has a room at both ends, and what is in it counts.
        for (const { from, to } of await moves.list({ tenantId: id, open: true })) {
          homes.push(...[from, to].map((h) => ({ tier: h.tier, region: h.region, cluster: h.placement.cluster })))
        }
        const faults = homes.flatMap((home) =>
          residencyFaults(config, kept, home).map((f) => ({ ...f, fix: MOVE_FIRST })),
        )
        assertResidency(kept, 'The residency', [...faults, ...awayFaults(config, kept, now.away ?? null)])
        await store.setResidency(id, kept, { action: 'tenant.residency', by })
        return tenant(id)
      })
    },
    isAccessAudited(now) {
      const residency = residencyOf(config, now)
      return residency !== null && residency.name !== null && residency.profile?.audit !== 'changes'
    },
    assertSession: (now, reason) => assertResidency(now, 'A support session', sessionFaults(config, now, reason)),
    async residencyReport(slugOrId, by = BY_PROGRAM) {
      const now = await tenant(slugOrId)
      await audit.append({ action: 'residency.report', by, tenant: now })
      const movesOf = ({ id }: TenantRecord) => moves.list({ tenantId: id, limit: 10_000 })
      return residencyReport({ config, sql, audit, regions, keysOf, moves: movesOf, scan }, now)
    },
    scanResidency: scan,
    async residencyViolations() {
      const violations: Violation[] = []
      for (const one of await everyTenant()) {
        if (one.placement === null) continue
        const { tier, region, placement, away = null } = one
        const home = { tier, region, cluster: placement.cluster }
        const faults = [...residencyFaults(config, one, home), ...awayFaults(config, one, away)]
        if (faults.length > 0) violations.push({ tenant: one.slug, faults })
      }
      return violations
    },
  }
}
