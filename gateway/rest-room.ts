import type { Context } from 'hono'
import { LRUCache } from 'lru-cache'
import type { Tenants } from '../tiers/tenants.ts'
import type { Claims, QueryResult, SqlQuery, Tenant, TenantId } from '../tiers/types.ts'
import type { GatewayEnv } from './edge/env.ts'
import { whenOver } from './edge/when-over.ts'
import type { RestRoom } from './rest/app.ts'
import { loadCatalogue, SchemaMissing } from './rest/catalogue/load.ts'
import type { Catalogue } from './rest/catalogue/types.ts'

/** How soon the data API shows what a migration changed. */
const CHECK_MS = 2_000
/** What nobody has asked about for so long may be as old as the last request: the next one waits for an answer. */
const STALE_MS = 10_000

const VERSION = `select tenancy.room_version($1) as version,
  exists (select from pg_catalog.pg_namespace where nspname = $1::text) as here`

interface RoomCatalogue {
  version: string
  catalogue: Promise<Catalogue>
  checkedAtMs: number
}

/**
 * Gives the data API its rooms. A catalogue is read once for each set of migrations and kept for all rooms that have
 * the same ones; which set a room has is asked again now and then, beside the request, not in front of it.
 */
export function createRestRooms(
  tenants: Tenants<Record<string, unknown>>,
  now: () => number = Date.now,
): (c: Context) => RestRoom {
  const byRoom = new LRUCache<string, RoomCatalogue>({ max: 10_000 })
  const byVersion = new LRUCache<string, Promise<Catalogue>>({ max: 50 })

  const versionOf = async (tenant: Tenant): Promise<string> => {
    const { schema } = tenant.placement!
    const { rows } = await tenants.session(tenant).execute({ text: VERSION, params: [schema] }, { readOnly: true })
    if (!rows[0]!.here) throw new SchemaMissing(schema)
    return String(rows[0]!.version)
  }
  const read = (tenant: Tenant, version: string): Promise<Catalogue> => {
    const known = byVersion.get(version)
    if (known !== undefined) return known
    const { schema } = tenant.placement!
    const session = tenants.session(tenant)
    const run = (query: SqlQuery) => session.execute(query, { readOnly: true })
    const forget = () => void byVersion.delete(version)
    const loading = loadCatalogue(run, schema).then(async (catalogue) => {
      // A migration in between: kept by the version before, it would be every other room's that still has that one.
      if ((await versionOf(tenant)) !== version) forget()
      return catalogue
    })
    byVersion.set(version, loading)
    loading.catch(forget)
    return loading
  }
  const load = async (key: string, tenant: Tenant): Promise<Catalogue> => {
    const version = await versionOf(tenant)
    const catalogue = read(tenant, version)
    byRoom.set(key, { version, catalogue, checkedAtMs: now() })
    catalogue.catch(() => byRoom.delete(key))
    return catalogue
  }
  // The statement was sent on to where the tenant lives now, but the schema that it names is the one that was left. Or
  // another tenant's was, whose reading of the same tables this one waited for.
  const loadWherever = async (tenant: Tenant, triesLeft = 3): Promise<Catalogue> => {
    try {
      return await load(keyOf(tenant), tenant)
    } catch (error) {
      if (!(error instanceof SchemaMissing) || triesLeft === 0) throw error
      return loadWherever(await tenants.find(tenant.id), triesLeft - 1)
    }
  }
  /** By tenant, also where many share a room: what keeps one of them from asking is not the others' error. */
  const loads = new Map<TenantId, Promise<Catalogue>>()
  const loadOnce = (tenant: Tenant): Promise<Catalogue> => {
    const running = loads.get(tenant.id)
    if (running !== undefined) return running
    const loading = loadWherever(tenant).finally(() => loads.delete(tenant.id))
    loads.set(tenant.id, loading)
    return loading
  }
  const catalogueOf = (tenant: Tenant): Promise<Catalogue> => {
    const key = keyOf(tenant)
    const held = byRoom.get(key)
    const ageMs = held === undefined ? Infinity : now() - held.checkedAtMs
    if (held === undefined || ageMs > STALE_MS) return loadOnce(tenant)
    if (ageMs > CHECK_MS) {
      held.checkedAtMs = now()
      // What is held stays right enough until the answer is there; a failure is asked about again next time.
      load(key, tenant).catch(() => byRoom.delete(key))
    }
    return held.catalogue
  }

  return (c) => {
    const context = c as Context<GatewayEnv>
    const tenant = context.get('tenant')
    const session = tenants.session(tenant, {
      claims: context.get('user') as Claims | null,
      whenOver: (over) => whenOver(context, over),
    })
    const requestSignal = context.get('signal')
    return {
      maxRows: context.get('tier').limits.rowsMax,
      catalogue: () => catalogueOf(tenant),
      run(query, { readOnly, check, signal = requestSignal }): Promise<QueryResult> {
        if (check === undefined) return session.execute(query, { readOnly, signal })
        return session.transaction(
          async (tx) => {
            const result = await tx.execute(query)
            check(result)
            return result
          },
          { readOnly, signal },
        )
      },
    }
  }
}

function keyOf({ placement }: Tenant): string {
  const { cluster, database, schema } = placement!
  return `${cluster}/${database}/${schema}`
}
