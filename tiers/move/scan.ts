import { quoteIdent } from '../quote.ts'
import type { MoveContext } from './context.ts'
import { isThere } from './generation.ts'
import { beginRead, type Side } from './side.ts'

/** One place that was looked at after the emptying, and what was found there: nothing, or no certificate is made. */
export interface Look {
  /** cluster/database, a region's key store, or a region's Redis. */
  readonly place: string
  readonly what: string
  readonly found: number
}

/** Something is left. The emptying is done again, and if it stays the reason names it. */
export class LeftBehind extends Error {
  constructor(looks: readonly Look[]) {
    super(`something is left: ${looks.map((l) => `${l.found} ${l.what} in ${l.place}`).join('; ')}`)
    this.name = 'LeftBehind'
  }
}

/** What was emptied, and where the tenant lives. */
export interface Emptied {
  readonly room: Side
  readonly home: Side
  readonly region: string
  readonly homeRegion: string
}

/**
 * Looks for the tenant in every row of the room that it left. The tables are the catalogue's: not what the copy took, nor what
 * the emptying emptied. Read as the role whose policy is the tenant, so it must be called while the move is known there.
 */
export async function scanRows({ room }: Emptied): Promise<Look[]> {
  const { database, schema, isolation, cluster } = room.placement
  if (isolation !== 'shared') return []
  const client = await room.client()
  const tables = await client.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
     where c.relnamespace = $1::text::regnamespace and c.relkind in ('r', 'p') and not a.attisdropped and not c.relispartition
     order by 1`,
    [quoteIdent(schema)],
  )
  const looks: Look[] = []
  for (const { name } of tables) {
    const found = await client.transaction(beginRead(room), () =>
      client.query<{ n: number }>(`select count(*)::float8 as n from ${room.table(name)} where tenant_id = $1`, [
        room.tenant,
      ]),
    )
    looks.push({ place: `${cluster}/${database}`, what: `rows in ${name}`, found: found[0]!.n })
  }
  return looks
}

/** Looks at everything else, at both ends, when the move's own books are gone too. */
export async function scanPlaces(ctx: MoveContext, emptied: Emptied): Promise<Look[]> {
  const { room, home, region, homeRegion } = emptied
  const slug = await slugOf(ctx)
  const looks = [
    ...(await scanServer(ctx, room)),
    ...(await scanBooks(ctx, room, true)),
    ...(await scanBooks(ctx, home, false)),
  ]
  if (region !== homeRegion) {
    const keys = await ctx.keysOf(region).list(ctx.move.tenantId)
    looks.push({ place: `key store of ${region}`, what: 'API keys', found: keys.length })
  }
  const left = await ctx.cacheOf(region).count({ ...room, slug, region, hasLeft: region !== homeRegion })
  if (left !== null) looks.push({ place: `Redis of ${region}`, what: 'keys', found: left })
  return looks
}

async function slugOf({ sql, move }: MoveContext): Promise<string> {
  const [row] = await sql<{ slug: string }[]>`select slug from tenants where id = ${move.tenantId}`
  return row!.slug
}

/** Databases, roles and connections are the server's, whatever has become of the room's database. */
async function scanServer(ctx: MoveContext, { placement, tenant, move, generation }: Side): Promise<Look[]> {
  const { cluster, database, isolation } = placement
  const [found] = await ctx.makerOf(cluster).admin('postgres')<{ databases: number; roles: number; movers: number }[]>`
    select (select count(*)::int from pg_database where datname = any(${isolation === 'database' ? [database] : []})
        or strpos(datname, ${plain(tenant)}) > 0 or strpos(datname, ${tenant}) > 0) as databases,
      (select count(*)::int from pg_roles r, unnest(${namesOf(placement, tenant)}::text[]) n where strpos(rolname, n) > 0) as roles,
      (select count(*)::int from pg_stat_activity where application_name like ${`innkeeper-move-${move}-%`}
        and substring(application_name from '[0-9]+$')::bigint <> ${generation}) as movers`
  return [
    { place: cluster, what: 'databases', found: found!.databases },
    { place: cluster, what: 'roles', found: found!.roles },
    { place: cluster, what: 'connections of earlier movers', found: found!.movers },
  ]
}

/** The fence at home stays, of course; everything else of a move's is gone there as well. */
async function scanBooks(ctx: MoveContext, side: Side, isLeft: boolean): Promise<Look[]> {
  const { placement, tenant, move } = side
  const { cluster, database, schema, isolation } = placement
  // Where it is there at all, that has been found already.
  if (isLeft && isolation === 'database') return []
  if (!(await isThere(ctx.makerOf(cluster), side))) return []
  const schemas = isLeft && isolation === 'schema' ? [schema] : []
  const names = [...(isLeft ? namesOf(placement, tenant) : [tenant, plain(tenant)]), move, plain(move)]
  const [found] = await (await side.client()).query<Record<string, number>>(
    `select (select count(*)::int from tenancy.notes where tenant_id = $1) as "capture notes",
      (select count(*)::int from tenancy.moves where tenant_id = $1 or id = $2) as "movers' books",
      (select count(*)::int from tenancy.move_tables where move = $2) as "positions of the copy",
      (select count(*)::int from pg_class c, unnest($3::text[]) n where strpos(c.relname, n) > 0) as "tables named by it",
      (select count(*)::int from tenancy.fence where tenant_id = $1 and (capture or $4)) as "fences",
      (select count(*)::int from pg_namespace where nspname = any($5) or strpos(nspname, $6) > 0) as "schemas",
      (select count(*)::int from tenancy.migrations where room = any($5)) as "records of migrations"
      ${schemas.length === 0 ? '' : ', (select count(*)::int from tenancy.room_parts where room = any($5)) as "parts of the room"'}`,
    [tenant, move, names, isLeft, schemas, plain(move)],
  )
  return Object.entries(found!).map(([what, n]) => ({ place: `${cluster}/${database}`, what, found: n }))
}

/** By which something of the room's could be called. The names that many tenants share are none of them. */
function namesOf({ database, schema, isolation }: Side['placement'], tenant: string): string[] {
  const own = isolation === 'schema' ? [schema.slice(2)] : isolation === 'database' ? [database.slice(-20)] : []
  return [tenant, plain(tenant), ...own]
}

const plain = (id: string) => id.replaceAll('-', '')
