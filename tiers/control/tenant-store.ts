import { and, asc, eq, gt, isNotNull, sql as raw } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/postgres-js'
import type postgres from 'postgres'
import { type AuditEntry, type By, entryText, type Note } from '../audit/entry.ts'
import { domains, placements, tenants } from '../directory/schema.ts'
import { tenantFrom } from '../directory/tenant-row.ts'
import { InnkeeperError } from '../errors.ts'
import { holding } from '../pg/begin.ts'
import {
  type AwayPolicy,
  type Isolation,
  isTenantId,
  type Placement,
  type Tenant,
  type TenantId,
  type TenantStatus,
} from '../types.ts'

/** A tenant as the control plane shows it. */
export interface TenantRecord extends Tenant {
  readonly domains: readonly string[]
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface TenantFilter {
  readonly region?: string | undefined
  readonly tier?: string | undefined
  readonly status?: TenantStatus | undefined
  /** Those that have a room. */
  readonly isPlaced?: true | undefined
  /** Slugs after this one, in alphabetical order. */
  readonly after?: string | undefined
  readonly limit: number
}

/** How many tenants a cluster hosts, by isolation model. */
export interface ClusterLoad {
  readonly cluster: string
  readonly isolation: Isolation
  readonly tenants: number
}

/** Reads and writes the directory, for the control plane alone. */
export interface TenantStore {
  get(slugOrId: string): Promise<TenantRecord | null>
  list(filter: TenantFilter): Promise<TenantRecord[]>
  load(): Promise<ClusterLoad[]>
  /**
   * Writes a new tenant with the place of its first room, or finds the one that an earlier attempt wrote.
   * @throws InnkeeperError `conflict` where the slug belongs to another request
   */
  begin(tenant: NewTenant, place: Place, by?: By): Promise<TenantRecord>
  /** @param note what the audit log says of it, in the same transaction; nothing where left out, as of steps of a larger change */
  setStatus(id: TenantId, status: TenantStatus, note?: Note): Promise<void>
  /** All of them in one transaction. */
  change(id: TenantId, changes: readonly NotedChange[]): Promise<void>
  setTier(id: TenantId, tier: string, note?: Note): Promise<void>
  /** @param away null for what its tier says */
  setAway(id: TenantId, away: AwayPolicy | null, note?: Note): Promise<void>
  setResidency(
    id: TenantId,
    kept: { profile: string | null; pinned: readonly string[] | null },
    note?: Note,
  ): Promise<void>
  addDomain(id: TenantId, domain: string, by?: By): Promise<void>
  removeDomain(id: TenantId, domain: string, by?: By): Promise<boolean>
  removePlacement(id: TenantId): Promise<void>
  /** Takes the turn of one tenant's changes, for as long as the work lasts. */
  exclusively<T>(id: TenantId, work: () => Promise<T>): Promise<T>
}

/** Some columns of a tenant's row, and what the audit log says of it. */
export interface NotedChange {
  readonly values: Change
  readonly note?: Note | undefined
}

type Change = Partial<Pick<typeof tenants.$inferInsert, 'status' | 'tier' | 'away' | 'profile' | 'pinned'>>

/** Names the first room by the epoch that it is given. */
type Place = (loads: ClusterLoad[], epoch: number) => Placement

export interface NewTenant {
  readonly id: TenantId
  readonly slug: string
  readonly tier: string
  readonly region: string
  readonly away?: AwayPolicy | null
  readonly profile?: string | null
  readonly pinned?: readonly string[] | null
  readonly idempotencyKey: string | null
  /** Of all that was asked for with the key. */
  readonly requestDigest?: string | null
}

const domainList = raw<string[]>`array(select domain from domains d where d.tenant_id = ${tenants.id} order by 1)`

/**
 * @param locks a pool of its own for {@link TenantStore.exclusively}: a turn that is held must not take a connection from
 *   the work it is held for, or as many turns as there are connections would wait for each other for ever
 */
export function tenantStore(client: postgres.Sql, locks: postgres.Sql): TenantStore {
  const db = drizzle(client)
  const select = () =>
    db
      .select({ tenant: tenants, placement: placements, domains: domainList })
      .from(tenants)
      .leftJoin(placements, eq(placements.tenantId, tenants.id))

  const get = async (slugOrId: string) => {
    const [row] = await select().where(isTenantId(slugOrId) ? eq(tenants.id, slugOrId) : eq(tenants.slug, slugOrId))
    return row ? recordOf(row) : null
  }
  return {
    get,
    async list({ region, tier, status, isPlaced, after, limit }) {
      const rows = await select()
        .where(
          and(
            region ? eq(tenants.region, region) : undefined,
            tier ? eq(tenants.tier, tier) : undefined,
            status ? eq(tenants.status, status) : undefined,
            isPlaced ? isNotNull(placements.tenantId) : undefined,
            after ? gt(tenants.slug, after) : undefined,
          ),
        )
        .orderBy(asc(tenants.slug))
        .limit(limit)
      return rows.map(recordOf)
    },
    load: () => loadOf(db),
    begin: (tenant, place, by) => begin(db, tenant, place, by),
    change: (id, changes) => change(db, id, changes),
    setStatus: (id, status, note) => change(db, id, [{ values: { status }, note }]),
    setTier: (id, tier, note) => change(db, id, [{ values: { tier }, note }]),
    setAway: (id, away, note) => change(db, id, [{ values: { away }, note }]),
    setResidency: (id, { profile, pinned }, note) =>
      change(db, id, [{ values: { profile, pinned: pinned && [...pinned] }, note }]),
    addDomain: (id, domain, by) =>
      db.transaction(async (tx) => {
        // With its row held, so that whoever removes the tenant sees this domain, or is seen here.
        const [tenant] = await tx.select().from(tenants).where(eq(tenants.id, id)).for('share')
        if (tenant?.status === 'offboarded')
          throw new InnkeeperError('tenant_gone', `The tenant "${tenant.slug}" has left`)
        const [made] = await tx.insert(domains).values({ domain, tenantId: id }).onConflictDoNothing().returning()
        if (made === undefined) {
          const [mine] = await tx
            .select()
            .from(domains)
            .where(and(eq(domains.domain, domain), eq(domains.tenantId, id)))
          if (mine !== undefined) return
          throw new InnkeeperError('conflict', `The domain ${domain} belongs to another tenant`)
        }
        await noted(tx, id, by && { action: 'domain.add', by, details: { domain } })
      }),
    removeDomain: (id, domain, by) =>
      db.transaction(async (tx) => {
        const rows = await tx
          .delete(domains)
          .where(and(eq(domains.domain, domain), eq(domains.tenantId, id)))
          .returning()
        if (rows.length === 0) return false
        await noted(tx, id, by && { action: 'domain.remove', by, details: { domain } })
        return true
      }),
    async removePlacement(id) {
      await db.delete(placements).where(eq(placements.tenantId, id))
    },
    exclusively: (id, work) =>
      holding(locks, (tx) => tx`select pg_advisory_xact_lock(1229868624, hashtext(${id}))`, work),
  }
}

type Db = ReturnType<typeof drizzle>
type Row = { tenant: typeof tenants.$inferSelect; placement: typeof placements.$inferSelect | null; domains: string[] }

async function change(db: Db, id: TenantId, changes: readonly NotedChange[]): Promise<void> {
  const write = db.transaction(async (tx) => {
    const [was] = await tx.select().from(tenants).where(eq(tenants.id, id)).for('update')
    if (was === undefined) return
    await tx
      .update(tenants)
      .set(Object.assign({}, ...changes.map((c) => c.values)))
      .where(eq(tenants.id, id))
    for (const { values, note } of changes) {
      const before = Object.fromEntries(Object.keys(values).map((name) => [name, was[name as keyof Change] ?? null]))
      await noted(tx, id, note, { before, after: values })
    }
  })
  await forbidden(write)
}

type Tx = Parameters<Parameters<Db['transaction']>[0]>[0]

/** The last statements of a change's transaction. */
async function noted(
  tx: Tx,
  id: TenantId,
  note: Note | undefined,
  change: Pick<AuditEntry, 'before' | 'after'> = {},
): Promise<void> {
  if (note === undefined) return
  const [tenant] = await tx.select({ slug: tenants.slug }).from(tenants).where(eq(tenants.id, id))
  const text = entryText({ ...note, ...change, ...(tenant && { tenant: { id, slug: tenant.slug } }) })
  await tx.execute(raw`insert into audit_log (entry) values (${text}::text::json)`)
}

/** The directory's own guard, behind the control plane's: what it refuses was not looked at before, or changed since. */
async function forbidden<T>(write: PromiseLike<T>): Promise<T> {
  try {
    return await write
  } catch (error) {
    const cause = (error as { cause?: { code?: string; message?: string } }).cause
    if (cause?.code !== 'IK050') throw error
    throw new InnkeeperError('residency_violation', 'The directory refuses it', {
      details: cause.message!,
      cause: error,
    })
  }
}

function recordOf({ tenant, placement, domains }: Row): TenantRecord {
  const { tenantId: _, ...room } = placement ?? { tenantId: tenant.id }
  const known = tenantFrom({ ...tenant, id: tenant.id as TenantId }, placement === null ? null : (room as Placement))
  return { ...known, createdAt: tenant.createdAt, updatedAt: tenant.updatedAt, domains }
}

async function loadOf(db: Pick<Db, 'select'>): Promise<ClusterLoad[]> {
  return db
    .select({
      cluster: placements.cluster,
      isolation: placements.isolation,
      tenants: raw<number>`count(*)::int`,
    })
    .from(placements)
    .groupBy(placements.cluster, placements.isolation)
}

async function begin(db: Db, tenant: NewTenant, place: Place, by: By | undefined): Promise<TenantRecord> {
  const { id, slug, tier, region, away = null, profile = null, idempotencyKey, requestDigest = null } = tenant
  const pinned = tenant.pinned ? [...tenant.pinned] : null
  const row = { id, slug, tier, region, away, profile, pinned, idempotencyKey, requestDigest }
  const write = db.transaction(async (tx) => {
    const [made] = await tx
      .insert(tenants)
      .values({ ...row, status: 'provisioning', epochLast: raw`next_epoch()` })
      .onConflictDoNothing()
      .returning()
    if (made === undefined) return
    const { epoch, ...room } = place(await loadOf(tx), made.epochLast)
    await tx.insert(placements).values({ tenantId: id, ...room, epoch })
    await noted(tx, id, by && { action: 'tenant.create', by }, {
      after: { tier, region, away, profile, pinned, ...room },
    })
  })
  await forbidden(write)
  const rows = await db
    .select({ tenant: tenants, placement: placements, domains: domainList })
    .from(tenants)
    .leftJoin(placements, eq(placements.tenantId, tenants.id))
    .where(
      idempotencyKey === null
        ? eq(tenants.slug, slug)
        : raw`${tenants.slug} = ${slug} or ${tenants.idempotencyKey} = ${idempotencyKey}`,
    )
  const mine = rows.find((r) => r.tenant.slug === slug)
  const keyed = rows.find((r) => idempotencyKey !== null && r.tenant.idempotencyKey === idempotencyKey)
  if (keyed !== undefined && !isSameRequest(keyed.tenant, row)) {
    throw new InnkeeperError('conflict', 'The idempotency key was used for another request', {
      details: `it made tenant ${keyed.tenant.slug}`,
      hint: 'Use a new key for a new request.',
    })
  }
  if (mine!.tenant.id !== id && (keyed === undefined || mine!.tenant.id !== keyed.tenant.id)) {
    throw new InnkeeperError('conflict', `There is a tenant "${slug}" already`, { field: 'slug' })
  }
  return recordOf(mine!)
}

/** By what was asked for. Of a tenant that is older than digests, by what it is now. */
function isSameRequest(made: Row['tenant'], asked: Omit<typeof tenants.$inferInsert, 'status'>): boolean {
  if (made.requestDigest !== null) return made.requestDigest === asked.requestDigest
  return (
    made.slug === asked.slug &&
    made.tier === asked.tier &&
    made.region === asked.region &&
    made.profile === asked.profile &&
    String(made.pinned) === String(asked.pinned)
  )
}
