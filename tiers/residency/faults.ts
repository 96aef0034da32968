import type { ClusterFacts, Config, ResidencyProfile } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import type { AwayPolicy, Tenant } from '../types.ts'
import { allowsIsolation, allowsTier, type Kept, type Residency, residencyOf } from './policy.ts'

/** Why a tenant's residency forbids something, and what to do about it. */
export interface ResidencyFault {
  readonly object: string
  readonly fault: string
  readonly fix: string
}

/** Where a tenant would live. */
export interface WouldLive {
  readonly tier: string
  readonly region: string
  /** Null where it is still to be chosen. */
  readonly cluster: string | null
}

type Subject = Kept & Pick<Tenant, 'slug'>

const CHANGE = 'Choose another, or ask compliance for another profile: innkeeper residency set.'

/** Everything about a home that the tenant's residency forbids. A profile, region or cluster that is not known is forbidden. */
export function residencyFaults(config: Config, tenant: Subject, home: WouldLive): ResidencyFault[] {
  const residency = residencyOf(config, tenant)
  if (residency === null) return []
  const faults = unknownProfile(residency)
  if (!residency.regions.has(home.region)) faults.push(outside(residency, `region ${home.region}`, home.region))
  if (residency.profile !== null) faults.push(...tierFaults(config, residency, residency.profile, home.tier))
  // A pin alone says as well where backups may be.
  if (home.cluster !== null) {
    const cluster = config.regions.get(home.region)?.clusters.get(home.cluster)
    faults.push(
      ...(cluster === undefined
        ? [fault(`cluster ${home.cluster}`, `is not known in region ${home.region}`)]
        : clusterFaults(residency, cluster)),
    )
  }
  return faults
}

function tierFaults(config: Config, { name }: Residency, profile: ResidencyProfile, tier: string): ResidencyFault[] {
  const faults: ResidencyFault[] = []
  const isolation = Object.hasOwn(config.tiers, tier) ? config.tiers[tier]!.isolation : null
  if (!allowsTier(profile, tier)) {
    faults.push(fault(`tier ${tier}`, `its profile ${name} allows ${profile.tiers!.join(', ')}`))
  }
  if (isolation === null || !allowsIsolation(profile, isolation)) {
    const wanted = profile.isolation?.join(', ') ?? 'known tiers only'
    faults.push(fault(`tier ${tier}`, `is of model ${isolation}, and its profile ${name} asks for ${wanted}`))
  }
  return faults
}

/** What a server lacks that the profile asks for, and backups of it that are kept elsewhere. */
export function clusterFaults(residency: Residency, cluster: ClusterFacts): ResidencyFault[] {
  const { profile, name } = residency
  const object = `cluster ${cluster.name}`
  const faults: ResidencyFault[] = []
  if (profile?.encryption === 'required' && cluster.tls !== 'verify-full') {
    faults.push({
      object,
      fault: `profile ${name} asks for encryption, and its tls is off`,
      fix: 'Set tls: verify-full.',
    })
  }
  if (profile?.encryption === 'required' && !cluster.storageEncrypted) {
    faults.push({
      object,
      fault: `profile ${name} asks for encryption, and its storage is not stated to be encrypted`,
      fix: 'Encrypt its disks and backups, then set storageEncrypted.',
    })
  }
  return [...faults, ...cluster.backups.flatMap((backup) => keptFaults(residency, `backups of ${object}`, backup))]
}

/** A backup or an export of the tenant's data: where it would be kept, and for how long. */
export interface Copy {
  readonly what: 'backup' | 'export'
  readonly region: string
  readonly retentionDays: number
  readonly isEncrypted: boolean
}

export function copyFaults(config: Config, tenant: Subject, { what, isEncrypted, ...kept }: Copy): ResidencyFault[] {
  const residency = residencyOf(config, tenant)
  if (residency === null) return []
  const faults = [...unknownProfile(residency), ...keptFaults(residency, `the ${what}`, kept)]
  if (residency.profile?.encryption === 'required' && !isEncrypted) {
    faults.push({ object: `the ${what}`, fault: 'is not encrypted, which its profile asks for', fix: 'Encrypt it.' })
  }
  return faults
}

/** An operator who would see the tenant's rows through the control plane, which stands somewhere too. */
export function sessionFaults(config: Config, tenant: Subject, reason: string | null): ResidencyFault[] {
  const residency = residencyOf(config, tenant)
  if (residency === null) return []
  const faults = unknownProfile(residency)
  const at = config.controlRegion
  if (at === null || !residency.regions.has(at)) {
    faults.push({
      ...outside(residency, 'the session', at ?? 'a place that control.region does not name'),
      fix: 'Work through a control plane that stands in one of its regions, and says so in control.region.',
    })
  }
  if (residency.profile?.audit === 'access' && reason === null) {
    faults.push({
      object: 'the session',
      fault: 'gives no reason, which its profile asks for',
      fix: 'Give one: --reason.',
    })
  }
  return faults
}

/** An away policy of the tenant's own. Its tier's is not a fault: what may not pass elsewhere is rejected there. */
export function awayFaults(config: Config, tenant: Subject, away: AwayPolicy | null): ResidencyFault[] {
  const residency = residencyOf(config, tenant)
  if (residency === null || away !== 'forward' || residency.transit) return []
  return [
    ...unknownProfile(residency),
    {
      object: 'away forward',
      fault: `its requests would pass through regions outside ${listOf(residency.regions)}`,
      fix: 'Use redirect or reject.',
    },
  ]
}

/** @throws InnkeeperError `residency_violation` with every fault at once */
export function assertResidency({ slug, profile }: Subject, what: string, faults: readonly ResidencyFault[]): void {
  if (faults.length === 0) return
  const texts = new Set(faults.map((f) => `${f.object}: ${f.fault}`))
  const by = profile ? `its profile ${profile}` : 'the regions it is pinned to'
  throw new InnkeeperError('residency_violation', `${what} of ${slug} is refused by ${by}`, {
    details: [...texts].join('; '),
    hint: [...new Set(faults.map((f) => f.fix))].join(' '),
  })
}

function keptFaults(
  residency: Residency,
  object: string,
  { region, retentionDays }: { readonly region: string; readonly retentionDays: number },
): ResidencyFault[] {
  const faults: ResidencyFault[] = []
  if (!residency.regions.has(region)) faults.push(outside(residency, object, region))
  const daysMax = residency.profile?.retentionDays
  if (daysMax !== undefined && retentionDays > daysMax) {
    faults.push({
      object,
      fault: `would be kept for ${retentionDays} days, and profile ${residency.name} allows ${daysMax}`,
      fix: 'Keep it for a shorter time.',
    })
  }
  return faults
}

function unknownProfile({ name, profile }: Residency): ResidencyFault[] {
  if (name === null || profile !== null) return []
  const fix = 'Put the profile into the configuration again, or give the tenant another: innkeeper residency set.'
  return [{ object: `profile ${name}`, fault: 'is not in the configuration, so nothing is allowed', fix }]
}

function outside({ regions }: Residency, object: string, where: string): ResidencyFault {
  return fault(object, `would be in ${where}; its data may be in ${listOf(regions)} only`)
}

const listOf = (regions: ReadonlySet<string>) => [...regions].join(', ') || 'no region'
const fault = (object: string, text: string): ResidencyFault => ({ object, fault: text, fix: CHANGE })
