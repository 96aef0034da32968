import type postgres from 'postgres'
import { isBeforeFlip, STATES } from './states.ts'

export interface Claim {
  readonly owner: string
  readonly leaseMs: number
  /** Moves that this runner works on. */
  readonly except: readonly string[]
  /** Moves that may be under way at a time, by cluster; clusters that are not named take as many as come. */
  readonly placesMax: Readonly<Record<string, number>>
  /** Whether this runner would begin one that nobody has begun. */
  readonly mayBegin: boolean
}

/** Taken by whoever looks for a move to begin, so that two of them never count the same place as free. */
const CLAIM_LOCK = 1_229_868_626

/** A move has its places, one at each of its clusters, from its beginning to the flip; watching one costs others nothing. */
const WITH_PLACE = STATES.filter((s) => isBeforeFlip(s) && s !== 'planned')

/**
 * Takes the lease of a move that nobody works on, raising its generation: those that have begun at any time, because
 * something of them is half done; a new one where every cluster that it touches has a place, the oldest first. The others
 * are told what they wait for, in `reason`.
 *
 * @returns the move's id, or null where there is none
 */
export async function claimMove(sql: postgres.Sql, claim: Claim): Promise<string | null> {
  const { owner, leaseMs, except, placesMax, mayBegin } = claim
  return sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${CLAIM_LOCK})`
    // In statements of their own: each sees what whoever held the lock before has committed.
    await tx`
      with ends as (
        select distinct m.id, 
          m.state = any (${WITH_PLACE}) or coalesce(m.lease_until > clock_timestamp(), false) as has_place, cluster
        from moves m cross join lateral (
          values (m.origin #>> '{placement,cluster}'), (m.destination #>> '{placement,cluster}')) as e (cluster)
        where m.ended_at is null and m.state = any (${[...WITH_PLACE, 'planned']})
      ), taken as (
        select cluster from ends join unnest(${Object.keys(placesMax)}::text[], ${Object.values(placesMax)}::int[]) as p (cluster, places)
          using (cluster)
        where has_place group by cluster having count(*) >= max(places)
      ), waits as (
        select m.id, case
            when min(t.cluster) is not null then 'waiting for a place on cluster ' || min(t.cluster)
            when not ${mayBegin}::boolean then 'waiting for a mover that is free' end as reason
        from moves m join ends e on e.id = m.id left join taken t on t.cluster = e.cluster
        where not e.has_place group by m.id
      )
      update moves m set reason = w.reason, updated_at = now() from waits w
      where m.id = w.id and m.reason is distinct from w.reason`
    const [row] = await tx<{ id: string }[]>`
      update moves set lease_owner = ${owner}, lease_until = clock_timestamp() + ${leaseMs} * interval '1 ms',
        generation = generation + 1
      where id = (
        select id from moves where ended_at is null and (lease_until is null or lease_until < clock_timestamp())
          and id <> all (${[...except]}::uuid[])
          -- One that is called off needs no place.
          and (state <> 'planned' or request is not null or (reason is null and ${mayBegin}))
        order by state = 'planned', created_at limit 1 for update skip locked)
      returning id`
    return row?.id ?? null
  })
}
