-- What 0008_claim.sql made, with one condition more: `regions` are those that the runner brings tenants to, as a region's half of
-- the mover does; null for all. Others' moves take their places as well, and are told nothing.
drop function claim_move(text, float8, uuid[], text[], text[], int[], boolean);
create function claim_move(owner text, lease_ms float8, mine uuid[], with_place text[], clusters text[], places int[], may_begin boolean,
  regions text[])
returns uuid language plpgsql volatile as $$
declare
  claimed uuid;
begin
  -- Two that look at once would count the same place as free. Each statement below sees what the one before has committed.
  perform pg_advisory_xact_lock(1229868626);
  with ends as (
    select distinct m.id, cluster,
      m.state = any (with_place) or coalesce(m.lease_until > clock_timestamp(), false) as has_place,
      regions is null or m.destination ->> 'region' = any (regions) as is_ours
    from moves m cross join lateral (
      values (m.origin #>> '{placement,cluster}'), (m.destination #>> '{placement,cluster}')) as e (cluster)
    where m.ended_at is null and (m.state = any (with_place) or m.state = 'planned')
  ), taken as (
    select cluster from ends join unnest(clusters, places) as p (cluster, most) using (cluster)
    where has_place group by cluster having count(*) >= max(most)
  ), waits as (
    select e.id, case when min(t.cluster) is not null then 'waiting for a place on cluster ' || min(t.cluster)
        when not may_begin then 'waiting for a mover that is free' end as reason
    from ends e left join taken t using (cluster) where not e.has_place and e.is_ours group by e.id
  )
  update moves m set reason = w.reason, updated_at = now() from waits w
  where m.id = w.id and m.reason is distinct from w.reason;

  update moves set lease_owner = owner, lease_until = clock_timestamp() + lease_ms * interval '1 ms', generation = generation + 1
  where id = (
    select id from moves where ended_at is null and (lease_until is null or lease_until < clock_timestamp()) and id <> all (mine)
      and (regions is null or destination ->> 'region' = any (regions))
      -- One that is called off needs no place.
      and (state <> 'planned' or request is not null or (reason is null and may_begin))
    order by state = 'planned', created_at limit 1 for update skip locked)
  returning id into claimed;
  return claimed;
end $$;
