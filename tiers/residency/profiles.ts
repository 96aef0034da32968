import { isDeepStrictEqual } from 'node:util'
import type postgres from 'postgres'
import type { Config } from '../../config/index.ts'
import { append, BY_PROGRAM } from '../audit/entry.ts'
import { InnkeeperError } from '../errors.ts'
import { type Kept, residencyOf, tiersOf } from './policy.ts'

/**
 * Tells the control database what the configuration's profiles allow, for its own guard. A profile that is no longer there
 * is forgotten: tenants that have it can be changed no more until it is back, or they have another.
 */
export async function syncProfiles(sql: postgres.Sql, config: Config): Promise<void> {
  const rows = Object.entries(config.residency.profiles).map(([name, profile]) => ({
    name,
    regions: profile.regions,
    tiers: tiersOf(profile, config.tiers),
    transit: residencyOf(config, { profile: name })!.transit,
  }))
  await sql.begin(async (tx) => {
    await tx`lock table residency_profiles in share row exclusive mode`
    const before = await tx<object[]>`select name, regions, tiers, transit from residency_profiles order by name`
    await tx`delete from residency_profiles where name <> all (${rows.map((r) => r.name)})`
    for (const { name, regions, tiers, transit } of rows) {
      await tx`
        insert into residency_profiles (name, regions, tiers, transit) values (${name}, ${regions}, ${tiers}, ${transit})
        on conflict (name) do update set regions = excluded.regions, tiers = excluded.tiers, transit = excluded.transit
        where (residency_profiles.regions, residency_profiles.tiers, residency_profiles.transit)
          is distinct from (excluded.regions, excluded.tiers, excluded.transit)`
    }
    const after = await tx<object[]>`select name, regions, tiers, transit from residency_profiles order by name`
    if (isDeepStrictEqual([...before], [...after])) return
    await append(tx, { action: 'residency.profiles', by: BY_CONFIGURATION, before, after })
  })
}

const BY_CONFIGURATION = { ...BY_PROGRAM, actor: 'configuration' }

/** @throws InnkeeperError `invalid_request` naming the field, for a profile or a region that is not in the configuration */
export function assertProfile(config: Config, { profile, pinned }: Kept): void {
  const { profiles } = config.residency
  if (profile && !Object.hasOwn(profiles, profile)) throw unknown('profile', profile, Object.keys(profiles))
  if (pinned?.length === 0) {
    throw new InnkeeperError('invalid_request', 'pinned: names no region', {
      field: 'pinned',
      hint: 'Name one, or null.',
    })
  }
  const lost = pinned?.find((r) => !config.regions.has(r))
  if (lost !== undefined) throw unknown('pinned', lost, [...config.regions.keys()])
}

function unknown(field: string, name: string, known: readonly string[]): InnkeeperError {
  return new InnkeeperError('invalid_request', `${field}: there is no "${name}"`, {
    field,
    hint: known.length === 0 ? 'The configuration has none.' : `Use one of: ${known.join(', ')}.`,
  })
}
