import type { Config, Limits } from '../config/index.ts'
import type { DirectoryNews } from './directory/headings.ts'
import type { Directory, TenantList } from './directory/types.ts'
import { compileSchema, type TenantDatabase, tenantDatabase } from './drizzle/database.ts'
import type { Executor } from './drizzle/session.ts'
import { type EachOptions, type EachReport, eachTenant } from './each-tenant.ts'
import { InnkeeperError } from './errors.ts'
import { AnswerBudget } from './pg/answer-budget.ts'
import type { Clusters } from './pg/clusters.ts'
import { createTenantContext } from './room/context.ts'
import type { EntranceDeps, PlacedTenant } from './room/entrance.ts'
import { makeReady } from './room/make-ready.ts'
import { Parking } from './room/parking.ts'
import { createRoomText } from './room/room-text.ts'
import { type RoomSession, type RoomTransaction, roomSession } from './room/session.ts'
import { createStepMaker } from './room/steps.ts'
import { NO_OBSERVER, type TiersObserver } from './telemetry.ts'
import { accounted, tracedEntrance, tracedSession } from './traced.ts'
import { type Claims, isTenantId, type Tenant, type TenantId, type TransactionOptions } from './types.ts'

export interface TenantsOptions<Schema extends Record<string, unknown>> {
  readonly config: Config
  /** With a list for `withEachTenant`; without one that is refused. */
  readonly directory: Directory & Partial<TenantList & DirectoryNews>
  readonly clusters: Clusters
  /** The application's tables and relations: what `config/schema.ts` exports. */
  readonly schema: Schema
  readonly observer?: TiersObserver
}

/** Work for one tenant on behalf of a user. */
export interface ScopeOptions {
  readonly claims?: Claims | null
  /** Ends the running statement, and refuses further ones: such as when the client has gone away. */
  readonly signal?: AbortSignal | undefined
}

export interface SessionOptions extends ScopeOptions {
  /**
   * Calls back once what was answered is no longer in memory, such as when a client has taken it: until then it counts
   * against what the tenant may have there. Where left out, an answer counts until it is returned.
   */
  readonly whenOver?: ((over: () => void) => void) | undefined
}

/** The one interface: the same code, the same answers, on every isolation model. */
export interface Tenants<Schema extends Record<string, unknown>> {
  /**
   * A Drizzle database in which every statement is a transaction of its own, in one network round trip.
   * @param tenant a slug, an id, or what the directory gave
   */
  for(tenant: string | Tenant, options?: ScopeOptions): TenantDatabase<Schema>
  /** Several statements, one transaction. */
  transaction<T>(
    tenant: string | Tenant,
    work: (db: TenantDatabase<Schema>) => Promise<T>,
    options?: TransactionOptions & ScopeOptions,
  ): Promise<T>
  /** The same without Drizzle: statements as text and parameters. */
  session(tenant: string | Tenant, options?: SessionOptions): RoomSession
  /** Runs work in a tenant's scope: `db()` inside it, also after awaits and in callbacks, is that tenant's. */
  scope<T>(
    tenant: string | Tenant,
    work: (db: TenantDatabase<Schema>) => Promise<T>,
    options?: ScopeOptions,
  ): Promise<T>
  /** The database of the running scope. @throws InnkeeperError `no_tenant` outside every scope */
  db(): TenantDatabase<Schema>
  /** The tenant of the running scope. @throws InnkeeperError `no_tenant` outside every scope */
  current(): { readonly tenantId: TenantId; readonly slug: string }
  /**
   * Background work over many tenants, several at a time, each in its own scope. One that fails does not stop the others.
   * Only tenants whose region this process holds credentials of are visited.
   */
  withEachTenant(
    work: (db: TenantDatabase<Schema>, tenant: Tenant) => Promise<void>,
    options?: EachOptions,
  ): Promise<EachReport>
  /** Finds a tenant. @throws InnkeeperError `tenant_not_found` */
  find(slugOrId: string): Promise<Tenant>
}

/** Builds the one interface over a directory and clusters that are already open; the caller closes those. */
export function createTenants<Schema extends Record<string, unknown>>(
  options: TenantsOptions<Schema>,
): Tenants<Schema> {
  const { config, directory, clusters } = options
  const observer = options.observer ?? NO_OBSERVER
  const context = createTenantContext()
  const compiled = compileSchema(options.schema)
  const limitsOf = (tier: string) => limitsOfTier(config, tier)
  const steps = createStepMaker({
    keyOf: (cluster) => clusters.ticketKeyOf(cluster),
    limitsOf,
    preparedOn: (cluster) => clusters.preparedOn(cluster),
    roomText: createRoomText(2_000),
  })
  const entrance: EntranceDeps = {
    movingWaitMs: config.pools.movingWaitMs,
    parking: new Parking((id) => directory.peekId(id)?.placement?.epoch),
    place: (id, fresh) => {
      const known = fresh ? undefined : directory.peekId(id)
      if (known !== undefined) return placed(known, id)
      return (fresh ? directory.refresh(id) : directory.byId(id)).then((t) => placed(t, id))
    },
    lease: (tenant, signal, eager = false) =>
      accounted(observer, tenant, () =>
        clusters.lease(tenant.placement.cluster, {
          database: tenant.placement.database,
          tenant: tenant.id,
          share: limitsOf(tenant.tier).connectionsMax,
          eager,
          signal,
        }),
      ),
  }
  const answers = new AnswerBudget()
  const deps = {
    ...(observer.enabled ? tracedEntrance(entrance, observer) : entrance),
    steps,
    observer,
    transactionTimeoutMs: (t: string) => limitsOf(t).transactionTimeoutMs,
  }

  directory.onHeading?.((heading) => {
    const known = directory.peekId(heading.tenant)
    if (known?.placement) void makeReady(entrance, steps, { ...known, placement: heading.placement })
  })

  const { parking } = entrance
  directory.onChange?.((id) => parking.look(id))
  // Whether it was about a tenant that is waited for is asked together with what it was about, and not after it.
  directory.onNotice?.(() => {
    for (const id of parking.awaited()) directory.refresh(id).then(() => parking.look(id), ignore)
  })

  const open = (id: TenantId, { claims, signal, whenOver }: SessionOptions): RoomSession => {
    context.assertMayUse(id)
    const held = whenOver && answers.hold(id, whenOver)
    const holdOf = () => (held === undefined || held.isOver ? answers.hold(id) : held)
    const session = traced(roomSession(deps, id, claims ? JSON.stringify(claims) : '', holdOf))
    return signal === undefined ? session : endedBy(signal, session)
  }
  const find = async (slugOrId: string): Promise<Tenant> => {
    const tenant = await (isTenantId(slugOrId) ? directory.byId(slugOrId) : directory.bySlug(slugOrId))
    if (tenant === null) throw notFound(slugOrId)
    return tenant
  }
  const traced = (session: RoomSession) => (observer.enabled ? tracedSession(session, observer) : session)
  const sessionOf = (tenant: string | Tenant, options: SessionOptions): RoomSession => {
    const id = idOf(tenant, directory)
    if (id !== null) return open(id, options)
    return lateSession(async () => open((await find(tenant as string)).id, options))
  }
  const database = (session: RoomSession) => tenantDatabase<Schema>(executorOf(session), compiled)

  const scopeOf = <T>(tenant: Tenant, options: ScopeOptions, work: (db: TenantDatabase<Schema>) => Promise<T>) => {
    const { claims = null, signal } = options
    const scope = { tenantId: tenant.id, slug: tenant.slug, claims, signal }
    return context.run(scope, () => work(database(open(tenant.id, scope))))
  }
  const mine = [...config.regions.values()].filter((r) => r.secrets !== null).map((r) => r.name)

  return {
    for: (tenant, options = {}) => database(sessionOf(tenant, options)),
    session: (tenant, options = {}) => sessionOf(tenant, options),
    transaction: (tenant, work, options = {}) =>
      sessionOf(tenant, options).transaction(
        (tx) => work(tenantDatabase<Schema>(transactionExecutor(tx), compiled)),
        options,
      ),
    async scope(tenant, work, options = {}) {
      return scopeOf(typeof tenant === 'string' ? await find(tenant) : tenant, options, work)
    },
    withEachTenant: (work, options = {}) =>
      eachTenant(directory, mine, (tenant) => scopeOf(tenant, {}, (db) => work(db, tenant)), options),
    db() {
      const scope = context.current()
      return database(open(scope.tenantId, scope))
    },
    current: () => context.current(),
    find,
  }
}

export function limitsOfTier(config: Config, tier: string): Limits {
  const found = config.tiers[tier]
  if (found !== undefined) return found.limits
  throw new InnkeeperError('invalid_config', `The tenant's tier "${tier}" is not in this gateway's configuration`, {
    hint: 'Give every process the same configuration.',
  })
}

function idOf(tenant: string | Tenant, directory: Directory): TenantId | null {
  if (typeof tenant !== 'string') return tenant.id
  if (isTenantId(tenant)) return tenant
  return directory.peekSlug(tenant)?.id ?? null
}

function notFound(slugOrId: string): InnkeeperError {
  return new InnkeeperError('tenant_not_found', `There is no tenant "${slugOrId}"`)
}

/** Checks that a tenant may be served; status first, so that a suspended tenant reads why. */
export function placed(tenant: Tenant | null, asked: string): PlacedTenant {
  if (tenant === null) throw notFound(asked)
  // Whatever went wrong on the way to this answer, a cache above all, must not open another tenant's room.
  if (tenant.id !== asked) throw new InnkeeperError('internal', 'The directory answered for another tenant')
  if (tenant.status === 'suspended') throw new InnkeeperError('tenant_suspended', 'The tenant is suspended')
  if (tenant.status === 'offboarded') throw new InnkeeperError('tenant_gone', 'The tenant has left')
  if (tenant.placement === null || tenant.status === 'provisioning') {
    throw new InnkeeperError('tenant_moving', "The tenant's room is still being made", { retryAfterMs: 1_000 })
  }
  return tenant as PlacedTenant
}

function executorOf(session: RoomSession): Executor {
  return {
    execute: (statement) => session.execute(statement),
    transaction: (work, options) => session.transaction((tx) => work(transactionExecutor(tx)), options),
  }
}

function transactionExecutor(tx: RoomTransaction): Executor {
  return {
    execute: (statement) => tx.execute(statement),
    transaction: (work) => tx.savepoint((inner) => work(transactionExecutor(inner))),
  }
}

/** A session whose statements end with the signal, unless they bring one of their own. */
function endedBy(signal: AbortSignal, session: RoomSession): RoomSession {
  return {
    execute: (statement, options) => session.execute(statement, { signal, ...options }),
    transaction: (work, options) => session.transaction(work, { signal, ...options }),
  }
}

/** A session whose tenant is looked up at the first statement; at the next one again, where that failed. */
function lateSession(make: () => Promise<RoomSession>): RoomSession {
  let made: Promise<RoomSession> | null = null
  const session = () => {
    made ??= make().catch((error) => {
      made = null
      throw error
    })
    return made
  }
  return {
    execute: async (statement, options) => (await session()).execute(statement, options),
    transaction: async (work, options) => (await session()).transaction(work, options),
  }
}

/** Who waits goes on waiting, and asks again at the next tick. */
function ignore(): void {}
