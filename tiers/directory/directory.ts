import type { Redis } from 'ioredis'
import type { Config } from '../../config/index.ts'
import { startFeed } from '../cache/feed.ts'
import { LoadingCache, type Versioned } from '../cache/loading-cache.ts'
import { createReach } from '../cache/reach.ts'
import { redisLayer, type SharedCache } from '../cache/redis-layer.ts'
import { InnkeeperError } from '../errors.ts'
import { openLink } from '../pg/link.ts'
import { keyRing } from '../ring/key-ring.ts'
import { isSlug } from '../slug.ts'
import { NO_OBSERVER, type TiersObserver } from '../telemetry.ts'
import type { Tenant, TenantId } from '../types.ts'
import { type DirectoryNews, type Heading, listenToHeadings } from './headings.ts'
import { type Persistence, type PersistOptions, persistDirectory } from './persist.ts'
import { directorySnapshot } from './snapshot.ts'
import { directorySource } from './source.ts'
import type { Directory, TenantList } from './types.ts'

const LOOKUP_TIMEOUT_MS = 2_000

export interface DirectoryOptions {
  readonly config: Config
  /** Of this region; left out where there is none. */
  readonly redis?: Redis | undefined
  readonly observer?: TiersObserver
}

/**
 * Opens the directory: memory, then Redis where there is one, then the control database.
 * It begins to work at once, also while the control database is still out of reach.
 */
export function openDirectory({
  config,
  redis,
  observer = NO_OBSERVER,
}: DirectoryOptions): Directory & TenantList & DirectoryNews {
  const { directory: settings } = config
  const link = openLink(
    { url: config.controlUrl, ...config.controlTls },
    {
      applicationName: 'innkeeper-directory',
      max: 4,
      connectTimeoutMs: 2_000,
      isWatching: true,
    },
  )
  const { sql } = link
  const source = directorySource(sql)
  const reach = createReach({ timeoutMs: LOOKUP_TIMEOUT_MS, downForMs: () => feed.disconnectedForMs() })
  const shared = redis ? sharedCache(config, redis, observer) : null

  const through =
    <T>(ask: (name: string) => Promise<Versioned<T | null>>) =>
    async (key: string, asOfLeast: number): Promise<Versioned<T | null>> => {
      if (shared !== null && asOfLeast < Infinity) {
        const held = await shared.get<T>(key)
        // Of what changed before this process began Redis may have been told by nobody; but it is better than nothing.
        const least = feed.connected() ? Math.max(asOfLeast, feed.beganAt()) : asOfLeast
        const near = held !== undefined && held.asOf >= least ? held : undefined
        observer.count('directory.lookups', 1, { layer: 'redis', hit: near !== undefined })
        if (near !== undefined) return near
      }
      observer.count('directory.lookups', 1, { layer: 'control', hit: false })
      const started = performance.now()
      try {
        const answer = await reach(() => ask(key.slice(key.indexOf(':') + 1)))
        if (answer.value !== null) shared?.put(key, answer as Versioned<unknown>)
        observer.record('directory.loadMs', performance.now() - started, {})
        return answer
      } catch (cause) {
        throw new InnkeeperError('directory_unavailable', 'The directory cannot be asked about this tenant now', {
          cause,
          retryAfterMs: 1_000,
        })
      }
    }

  const limits = {
    entriesMax: settings.entriesMax,
    ttlMs: settings.ttlMs,
    negativeTtlMs: settings.negativeTtlMs,
    staleMs: settings.staleMs,
    // Before the first look it is not known: what an earlier process left must not serve if it need not.
    down: () => feed.looked() && !feed.connected(),
  }
  const ids = new LoadingCache<Tenant>({ ...limits, load: through<Tenant>(source.byId) })
  const bySlug = through<Tenant>(source.bySlug)
  const slugs = new LoadingCache<Tenant>({
    ...limits,
    async load(key, asOfLeast) {
      const answer = await bySlug(key, asOfLeast)
      // The next step asks for the same tenant by its id.
      if (answer.value !== null) ids.offer(`id:${answer.value.id}`, answer as Versioned<Tenant>)
      return answer
    },
  })
  const domains = new LoadingCache<TenantId>({ ...limits, load: through<TenantId>(source.byDomain) })
  const caches = [ids, slugs, domains]

  const feed = startFeed({
    sql,
    channel: 'innkeeper_directory',
    pollMs: settings.pollMs,
    timeoutMs: LOOKUP_TIMEOUT_MS,
    last: async () => Number((await sql`select coalesce(max(seq), 0) as seq from changes`)[0]!.seq),
    since: async (seq) => {
      const rows = await sql<{ seq: string; keys: string[] }[]>`
        select seq, keys from changes where seq > ${seq} order by seq limit 1000`
      return rows.map((r) => ({ seq: Number(r.seq), keys: r.keys }))
    },
    onChange: ({ seq, keys }) => {
      for (const key of keys) {
        cacheOf(key).invalidate(key, seq)
        shared?.invalidate(key, seq)
        if (key.startsWith('id:')) for (const listener of changeListeners) listener(key.slice('id:'.length) as TenantId)
      }
    },
    onNotice: () => {
      for (const listener of noticeListeners) listener()
    },
    onGap: () => {
      for (const cache of caches) cache.expireAll()
    },
    renew: () => {
      link.renew()
      hearing = hear()
    },
  })
  const cacheOf = (key: string) => (key.startsWith('id:') ? ids : key.startsWith('slug:') ? slugs : domains)
  const headingListeners: ((heading: Heading) => void)[] = []
  const changeListeners: ((tenant: TenantId) => void)[] = []
  const noticeListeners: (() => void)[] = []
  // Without it the first requests in a new home wait for their connections, and nothing else.
  const hear = () =>
    listenToHeadings(sql, (heading) => {
      for (const listener of headingListeners) listener(heading)
    }).catch(() => null)
  let hearing = hear()
  const persistence = persisted(config, { ids, slugs, domains, observer })
  const removeGauges = [
    observer.gauge('directory.entries', () => [{ value: ids.size + slugs.size, attributes: {} }]),
    observer.gauge('directory.connected', () => [{ value: Number(feed.connected()), attributes: {} }]),
    observer.gauge('directory.stale_seconds', () => [{ value: feed.disconnectedForMs() / 1000, attributes: {} }]),
  ]

  return {
    byId: (id) => ids.get(`id:${id}`),
    // What can be nobody's name is not worth a look-up, nor a place in memory.
    bySlug: async (slug) => (isSlug(slug) ? slugs.get(`slug:${slug}`) : null),
    async byDomain(domain) {
      const id = await domains.get(`domain:${domain}`)
      return id === null ? null : ids.get(`id:${id}`)
    },
    peekId: (id) => ids.peek(`id:${id}`),
    peekSlug: (slug) => slugs.peek(`slug:${slug}`),
    list: (filter) => source.list(filter),
    refresh: (id) => ids.refresh(`id:${id}`),
    onHeading: (listener) => void headingListeners.push(listener),
    onChange: (listener) => void changeListeners.push(listener),
    onNotice: (listener) => void noticeListeners.push(listener),
    status: () => ({
      connected: feed.connected(),
      staleForMs: feed.disconnectedForMs(),
      entries: ids.size + slugs.size,
      restored: persistence?.restored ?? 0,
      restoreFault: persistence?.restoreFault ?? null,
      version: feed.seq(),
    }),
    async close() {
      for (const remove of removeGauges) remove()
      await feed.close()
      void hearing.then((end) => end?.()).catch(() => {})
      await persistence?.close()
      shared?.close()
      await link.close(1)
    },
  }
}

/** Null where nothing is kept on disk: only a gateway has a region whose keys seal it. */
function persisted(config: Config, caches: Omit<PersistOptions, 'snapshot' | 'everyMs'>): Persistence | null {
  const { persistFolder, persistMs } = config.directory
  if (persistFolder === undefined || config.role.kind !== 'gateway') return null
  const { region } = config.role
  const snapshot = directorySnapshot(persistFolder, keyRing(region, config.regions.get(region)!.secrets!.keyRing))
  return persistDirectory({ ...caches, snapshot, everyMs: persistMs })
}

/** Null where there is no region's key to know one's own entries by. */
function sharedCache(config: Config, redis: Redis, observer: TiersObserver): SharedCache | null {
  const secrets = config.role.kind === 'gateway' ? config.regions.get(config.role.region)?.secrets : null
  if (!secrets) return null
  return redisLayer({
    redis,
    prefix: 'directory',
    ttlMs: config.directory.ttlMs,
    regionKey: secrets.key,
    onError: () => observer.count('redis.errors', 1, { use: 'directory' }),
  })
}
