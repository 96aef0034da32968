import type postgres from 'postgres'
import type { Config } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import type { Home } from '../move/types.ts'
import type { RoomMaker } from '../rooms/maker.ts'
import { SCHEMAS_DATABASE, SHARED_DATABASE } from '../rooms/naming.ts'
import type { Isolation, Placement, TenantId } from '../types.ts'
import { incarnationOf } from './epochs.ts'

/** What was done, and what somebody has to look at. */
export interface Incarnation {
  readonly number: number
  /** Tenants whose home the directory had forgotten: the data says where they live. */
  readonly adopted: readonly { readonly tenant: string; readonly from: Placement; readonly to: Placement }[]
  /** Moves that the directory believed to be at another point than they had come to. */
  readonly moves: readonly { readonly move: string; readonly was: string; readonly now: string }[]
  /** Each with the place: not changed, because only a person knows. */
  readonly unclear: readonly string[]
}

export interface IncarnationDeps {
  readonly config: Config
  readonly sql: postgres.Sql
  readonly makers: readonly RoomMaker[]
}

interface Fence {
  readonly tenant: TenantId
  readonly epoch: number
  readonly state: 'open' | 'fenced'
  readonly placement: Placement
}

interface Sight {
  readonly mark: number
  readonly fences: readonly Fence[]
  readonly books: readonly {
    readonly move: string
    readonly tenant: TenantId
    readonly maker: RoomMaker
    readonly database: string
  }[]
}

/**
 * To be called when the control database was restored from a backup. Raises the high bits of all epochs above whatever any
 * data database has heard of, and corrects the directory by the fences, which cannot be older than the data: where a
 * tenant is served at a higher epoch than the directory knows, that is where it lives.
 *
 * Every cluster has to be reachable: one that was not looked at could have heard of more.
 */
export async function newIncarnation(deps: IncarnationDeps): Promise<Incarnation> {
  const { sql, makers } = deps
  const sights = await Promise.all(
    makers.map((maker) =>
      look(maker).catch((cause: Error) => {
        throw new InnkeeperError('cluster_unavailable', `Cluster ${maker.cluster} could not be looked at`, {
          cause,
          details: cause.message,
          hint: 'It may have heard of later epochs than the others: nothing was changed. Bring it back, then try again.',
        })
      }),
    ),
  )
  const mark = Math.max(0, ...sights.map((s) => s.mark))
  const fences = sights.flatMap((s) => s.fences)
  const done = await sql.begin(async (tx) => {
    const [row] = await tx<{ number: number }[]>`
      update incarnation set number = greatest(number, ${incarnationOf(mark)}) + 1, since = now() returning number::int`
    const { adopted, unclear } = await adopt(tx, deps.config, fences)
    const moves = await settleMoves(tx as unknown as postgres.Sql, adopted)
    return { number: row!.number, adopted, moves, unclear }
  })
  return { ...done, unclear: [...done.unclear, ...(await forgetBooks(sql, sights))] }
}

async function look(maker: RoomMaker): Promise<Sight> {
  const databases = await maker.admin('postgres')<{ name: string }[]>`
    select datname as name from pg_database
    where datname in (${SHARED_DATABASE}, ${SCHEMAS_DATABASE}) or datname like 'innkeeper\\_d\\_%' order by 1`
  const sight = { mark: 0, fences: [] as Fence[], books: [] as Sight['books'][number][] }
  for (const { name: database } of databases) {
    const mark = await maker.epochMark(database)
    const sql = maker.admin(database)
    const rows = await sql<{ tenant: TenantId; epoch: number; state: Fence['state']; schema: string }[]>`
      select tenant_id as tenant, epoch::float8 as epoch, state, room as schema from tenancy.fence`
    const isolation: Isolation =
      database === SHARED_DATABASE ? 'shared' : database === SCHEMAS_DATABASE ? 'schema' : 'database'
    for (const { tenant, epoch, state, schema } of rows) {
      const placement = { cluster: maker.cluster, database, schema, isolation, epoch }
      sight.fences.push({ tenant, epoch, state, placement })
    }
    const books = await sql<
      { move: string; tenant: TenantId }[]
    >`select id as move, tenant_id as tenant from tenancy.moves`
    sight.books.push(...books.map((b) => ({ ...b, maker, database })))
    sight.mark = Math.max(sight.mark, mark ?? 0, ...rows.map((r) => r.epoch))
  }
  return sight
}

type Adopted = Incarnation['adopted'][number] & { readonly id: TenantId }

async function adopt(tx: postgres.TransactionSql, config: Config, fences: readonly Fence[]) {
  const known = new Map(
    (
      await tx<({ id: TenantId; slug: string; tier: string } & Placement)[]>`
        select t.id, t.slug, t.tier, p.cluster, p.database, p.schema, p.isolation, p.epoch::float8 as epoch
        from tenants t join placements p on p.tenant_id = t.id`
    ).map((row) => [row.id, row]),
  )
  const adopted: Adopted[] = []
  const unclear: string[] = []
  for (const [tenant, here] of Map.groupBy(fences, (f) => f.tenant)) {
    const place = (f: Fence) => `${f.placement.cluster}/${f.placement.database}/${f.placement.schema}`
    const row = known.get(tenant)
    if (row === undefined) {
      unclear.push(...here.map((f) => `${place(f)} has tenant ${tenant}, whom the directory does not know`))
      continue
    }
    const open = here.filter((f) => f.state === 'open').toSorted((a, b) => b.epoch - a.epoch)[0]
    const { id, slug, tier, ...from } = row
    if (open === undefined || open.epoch <= from.epoch) {
      const later = here.find((f) => f.epoch > from.epoch)
      if (later !== undefined) unclear.push(`${place(later)} has ${slug} at a later epoch, shut`)
      continue
    }
    const to = open.placement
    const region = [...config.regions.values()].find((r) => r.clusters.has(to.cluster))!.name
    const named = tierFor(config, tier, to.isolation)
    const refusal = await placed(tx, { id, tier: named, region, placement: to })
    if (refusal !== null) {
      unclear.push(`${place(open)} is where ${slug} lives, and that is forbidden: ${refusal}. ${SET_FIRST}`)
      continue
    }
    adopted.push({ id, tenant: slug, from, to })
  }
  return { adopted, unclear }
}

const SET_FIRST =
  'Correct its residency (innkeeper residency set), then run this again; until then it is served nowhere'

/** @returns why the directory refuses it: the backup may know another residency than the tenant was moved under */
async function placed(
  tx: postgres.TransactionSql,
  { id, tier, region, placement: to }: Pick<Adopted, 'id'> & Home,
): Promise<string | null> {
  try {
    await tx.savepoint(async (point) => {
      await point`update placements set cluster = ${to.cluster}, database = ${to.database}, schema = ${to.schema},
        isolation = ${to.isolation}, epoch = ${to.epoch} where tenant_id = ${id}`
      await point`update tenants set tier = ${tier}, region = ${region}, epoch_last = ${to.epoch} where id = ${id}`
    })
    return null
  } catch (error) {
    if ((error as { code?: string }).code !== 'IK050') throw error
    return (error as Error).message
  }
}

/** The tier that it has, or the first of the room's model: which one it was bought as, an operator knows. */
function tierFor({ tiers }: Config, tier: string, isolation: Isolation): string {
  if (tiers[tier]?.isolation === isolation) return tier
  return Object.keys(tiers).find((name) => tiers[name]!.isolation === isolation) ?? tier
}

/** A move that had flipped is watched; one that had been rolled back is cleared; of any other nothing is known. */
async function settleMoves(tx: postgres.Sql, adopted: readonly Adopted[]): Promise<Incarnation['moves']> {
  const settled: Incarnation['moves'][number][] = []
  for (const { id, to } of adopted) {
    const [move] = await tx<{ id: string; state: string; origin: Home; destination: Home }[]>`
      select id, state, origin, destination from moves where tenant_id = ${id} and ended_at is null`
    if (move === undefined) continue
    const end = isRoom(move.destination.placement, to)
      ? 'destination'
      : isRoom(move.origin.placement, to)
        ? 'origin'
        : null
    const now = end === 'destination' ? 'watching' : end === 'origin' ? 'clearing' : 'aborted'
    const reason = `the control database was restored: the move was believed to be ${move.state}`
    // A mover of before holds a lease that is worth nothing from here on.
    await tx`update moves set state = ${now}, reason = ${reason}, request = null, generation = generation + 1,
      lease_owner = null, lease_until = null, ended_at = ${now === 'aborted' ? tx`now()` : null}
      ${end === null ? tx`` : tx`, ${tx(end)} = jsonb_set(${tx(end)}, '{placement,epoch}', to_jsonb(${to.epoch}::bigint))`}
      where id = ${move.id}`
    settled.push({ move: move.id, was: move.state, now })
  }
  return settled
}

const isRoom = (a: Placement, b: Placement) =>
  a.cluster === b.cluster && a.database === b.database && a.schema === b.schema

/** Of moves that began after the backup: nobody will go on with them, and what they note would never be read. */
async function forgetBooks(sql: postgres.Sql, sights: readonly Sight[]): Promise<string[]> {
  const books = sights.flatMap((s) => s.books)
  const open = new Set((await sql<{ id: string }[]>`select id from moves where ended_at is null`).map((m) => m.id))
  const unclear: string[] = []
  for (const { move, tenant, maker, database } of books) {
    if (open.has(move)) continue
    const there = maker.admin(database)
    await there.begin(async (tx) => {
      await tx`delete from tenancy.moves where id = ${move}`
      await tx`update tenancy.fence set capture = false where tenant_id = ${tenant}`
      await tx`delete from tenancy.notes where tenant_id = ${tenant}`
    })
    const [fence] = await there<{ state: string }[]>`select state from tenancy.fence where tenant_id = ${tenant}`
    if (fence?.state === 'fenced') {
      unclear.push(
        `${maker.cluster}/${database} holds a room of ${tenant} that move ${move} had left: remove it by hand`,
      )
    }
  }
  return unclear
}
