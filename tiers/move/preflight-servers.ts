import type { ClusterConfig } from '../../config/index.ts'
import type { MoverClient } from './mover-client.ts'
import type { Refusal } from './plan.ts'

/** What two servers must have, or have in common, before a tenant goes from the one to the other. */

/** The pass, the tables that are copied side by side, the vigil, the probe, and what the control plane itself needs. */
const CONNECTIONS_PER_END = 8

/** @param ends how many ends of the move are on this server: one, or both */
export async function serverFaults(client: MoverClient, object: string, ends: number): Promise<Refusal[]> {
  const [row] = await client.query<{ may: boolean; free: number }>(
    `select pg_has_role('innkeeper_mover', 'MEMBER') and pg_has_role('innkeeper_owner', 'MEMBER') as may,
       current_setting('max_connections')::int
         - case when (select rolsuper from pg_roles where rolname = current_user) then 0
           else current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true)::int, 0) end
         - (select count(*)::int from pg_stat_activity where backend_type in ('client backend', 'walsender')) as free`,
  )
  const faults: Refusal[] = []
  if (!row!.may) {
    faults.push({
      object,
      fault: 'the admin role is not a member of innkeeper_mover and innkeeper_owner',
      fix: 'Name the role that has installed the cluster in the cluster’s admin URL.',
    })
  }
  const needed = CONNECTIONS_PER_END * ends
  if (row!.free < needed) {
    faults.push({
      object,
      fault: `only ${Math.max(0, row!.free)} connections are free, and a move needs ${needed}`,
      fix: 'Raise max_connections, lower connectionsMax, or wait.',
    })
  }
  return faults
}

/**
 * PostgreSQL has no way to ask what its disk holds, so a cluster's capacity is what its operator says. What the databases
 * come to now, and the tenant with its indexes once more, must fit; the write-ahead log is not counted.
 */
export async function spaceFaults(client: MoverClient, cluster: ClusterConfig, bytes: number): Promise<Refusal[]> {
  const { capacityBytes, name } = cluster
  if (capacityBytes === undefined) return []
  const [row] = await client.query<{ used: number }>(
    "select sum(pg_database_size(oid))::float8 as used from pg_database where datallowconn and has_database_privilege(oid, 'connect')",
  )
  const left = Math.max(0, capacityBytes - row!.used)
  if (bytes <= left) return []
  return [
    {
      object: `cluster ${name}`,
      fault: `has ${megabytes(left)} left of its capacityBytes, and the tenant needs about ${megabytes(bytes)}`,
      fix: 'Choose another cluster, or give it space and raise capacityBytes.',
    },
  ]
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024)} MB`
}

/** What decides how values of a database are read, compared and sorted. */
export interface ServerFacts {
  readonly major: number
  readonly encoding: string
  /** `c` the operating system's, `i` ICU's, `b` PostgreSQL's own. */
  readonly provider: string
  readonly locale: string
  /** Of the library that sorts; null where the order can never change. */
  readonly collationVersion: string | null
}

/** @param database whose settings count; for one that is still to be made, `template0`'s */
export async function factsOf(client: MoverClient, database: string): Promise<ServerFacts> {
  const [row] = await client.query<ServerFacts & Record<string, unknown>>(
    `select current_setting('server_version_num')::int / 10000 as major, pg_encoding_to_char(d.encoding) as encoding,
       d.datlocprovider::text as provider, pg_database_collation_actual_version(d.oid) as "collationVersion",
       -- The column has another name from PostgreSQL 17 on.
       concat_ws(' ', d.datcollate, d.datctype, coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')) as locale
     from pg_database d where d.datname = $1`,
    [database],
  )
  return row!
}

export type CollationSkew = 'refuse' | 'accept'

/** Text that is sorted by another rule is found by other ranges, and two values may be equal at one end only. */
export function skewFaults(source: ServerFacts, target: ServerFacts, collationSkew: CollationSkew): Refusal[] {
  const faults: Refusal[] = []
  const object = 'target server'
  if (target.major < source.major) {
    faults.push({
      object,
      fault: `PostgreSQL ${target.major} is older than the source's ${source.major}`,
      fix: 'Choose a cluster of the same or a newer major version.',
    })
  }
  if (source.encoding !== target.encoding) {
    faults.push({ object, fault: `its encoding is ${target.encoding}, not ${source.encoding}`, fix: 'Use UTF8.' })
  }
  if (source.provider !== target.provider || source.locale !== target.locale) {
    faults.push({
      object,
      fault: `it sorts text by ${target.locale} (${target.provider}), not ${source.locale} (${source.provider})`,
      fix: 'Make both clusters with the same locale.',
    })
  } else if (source.collationVersion !== target.collationVersion && collationSkew === 'refuse') {
    faults.push(collationFault(source.locale, source.collationVersion, target.collationVersion))
  }
  return faults
}

function collationFault(name: string, here: string | null, there: string | null): Refusal {
  return {
    object: `collation ${name}`,
    fault: `is of version ${there ?? 'none'} at the target, not ${here ?? 'none'}: text may sort otherwise there`,
    fix: 'Use the same operating system and ICU on both, or set moves.collationSkew to accept.',
  }
}

interface Versioned {
  readonly name: string
  readonly version: string | null
}

/** Collations that columns of the room name for themselves. */
export async function collationFaults(
  here: MoverClient,
  room: string,
  there: MoverClient,
  collationSkew: CollationSkew,
): Promise<Refusal[]> {
  if (collationSkew === 'accept') return []
  const used = await here.query<Versioned & Record<string, unknown>>(
    `select distinct l.collname as name, pg_collation_actual_version(l.oid) as version
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     join pg_collation l on l.oid = a.attcollation and l.collnamespace = 'pg_catalog'::regnamespace and l.collname <> 'default'
     where c.relnamespace = (select oid from pg_namespace where nspname = $1) and c.relkind in ('r', 'p')`,
    [room],
  )
  const known = await there.query<Versioned & Record<string, unknown>>(
    `select collname as name, pg_collation_actual_version(oid) as version from pg_collation
     where collnamespace = 'pg_catalog'::regnamespace and collname = any ($1)`,
    [used.map((u) => u.name)],
  )
  return versionFaults(used, known)
}

export function versionFaults(used: readonly Versioned[], known: readonly Versioned[]): Refusal[] {
  return used.flatMap(({ name, version }) => {
    const other = known.filter((k) => k.name === name)
    if (other.some((o) => o.version === version)) return []
    return [collationFault(name, version, other[0]?.version ?? null)]
  })
}

/**
 * Extensions that the room's tables and functions depend on. In a pool they must be there; for a new room the server must
 * be able to install that version.
 */
export async function extensionFaults(
  here: MoverClient,
  room: string,
  there: MoverClient,
  isPool: boolean,
): Promise<Refusal[]> {
  const used = await here.query<{ name: string; version: string }>(
    `with inside (classid, objid) as (
       select 'pg_class'::regclass, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1
       union all select 'pg_proc'::regclass, p.oid from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = $1
       union all select 'pg_attrdef'::regclass, d.oid from pg_attrdef d join pg_class c on c.oid = d.adrelid
         join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1
       union all select 'pg_constraint'::regclass, k.oid from pg_constraint k join pg_namespace n on n.oid = k.connamespace where n.nspname = $1)
     select distinct e.extname as name, e.extversion as version
     from inside i join pg_depend d on d.classid = i.classid and d.objid = i.objid
     join pg_depend m on m.classid = d.refclassid and m.objid = d.refobjid and m.deptype = 'e'
     join pg_extension e on e.oid = m.refobjid and m.refclassid = 'pg_extension'::regclass
     where e.extname <> 'plpgsql' order by 1`,
    [room],
  )
  const known = await there.query<{ name: string; version: string }>(
    isPool
      ? 'select extname as name, extversion as version from pg_extension'
      : 'select name, version from pg_available_extension_versions',
  )
  return used
    .filter((u) => !known.some((k) => k.name === u.name && k.version === u.version))
    .map(({ name, version }) => {
      const others = known.filter((k) => k.name === name).map((k) => k.version)
      return {
        object: `extension ${name}`,
        fault: `the target has ${others.length > 0 ? `version ${others.join(', ')}` : 'none'}, not ${version}`,
        fix: 'Install the same version on both clusters.',
      }
    })
}
