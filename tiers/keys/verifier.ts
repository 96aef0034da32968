import { hash } from 'node:crypto'
import type { ClusterConfig, Config } from '../../config/index.ts'
import { startFeed } from '../cache/feed.ts'
import { LoadingCache } from '../cache/loading-cache.ts'
import { createReach } from '../cache/reach.ts'
import { InnkeeperError } from '../errors.ts'
import { openLink } from '../pg/link.ts'
import { REGION_DATABASE } from '../rooms/naming.ts'
import type { TenantId } from '../types.ts'
import type { ApiKey, KeyVerifier, Scope } from './types.ts'

const LOOKUP_TIMEOUT_MS = 2_000

interface Row {
  as_of: string
  id: string | null
  tenant_id: TenantId
  name: string
  scopes: Scope[]
  created_at: Date
  expires_at: Date | null
  revoked_at: Date | null
}

/** The hash under which a key is stored and cached. The secret has 256 bits of its own, so no salt or stretching is needed. */
export function keyHash(keyText: string): Buffer {
  return hash('sha256', keyText, 'buffer')
}

/**
 * Reads keys in the region's own database, on its first cluster. Answers are cached by hash; a change of a key reaches
 * every gateway by notification, or by the poll when the notification is lost.
 */
export function openKeyVerifier(config: Config, cluster: ClusterConfig): KeyVerifier {
  const link = openLink(cluster, {
    applicationName: 'innkeeper-keys',
    database: REGION_DATABASE,
    max: 3,
    connectTimeoutMs: 2_000,
    isWatching: true,
  })
  const { sql } = link
  const reach = createReach({ timeoutMs: LOOKUP_TIMEOUT_MS, downForMs: () => feed.disconnectedForMs() })
  const cache = new LoadingCache<ApiKey>({
    entriesMax: config.directory.entriesMax,
    ttlMs: config.directory.ttlMs,
    negativeTtlMs: config.directory.negativeTtlMs,
    staleMs: config.directory.staleMs,
    down: () => !feed.connected(),
    async load(hashText) {
      try {
        const [row] = await reach(() => sql<Row[]>`select * from keys.find(${Buffer.from(hashText, 'hex')})`)
        return { value: keyOf(row!), asOf: Number(row!.as_of) }
      } catch (cause) {
        throw new InnkeeperError('cluster_unavailable', 'The key cannot be checked now', { cause, retryAfterMs: 1_000 })
      }
    },
  })
  const feed = startFeed({
    sql,
    channel: 'innkeeper_keys',
    pollMs: config.directory.pollMs,
    timeoutMs: LOOKUP_TIMEOUT_MS,
    last: async () => Number((await sql`select keys.last_change() as seq`)[0]!.seq),
    since: async (seq) => {
      const rows = await sql<{ seq: string; keys: string[] }[]>`select * from keys.changes_since(${seq})`
      return rows.map((r) => ({ seq: Number(r.seq), keys: r.keys }))
    },
    onChange: ({ seq, keys }) => {
      for (const key of keys) cache.invalidate(key, seq)
    },
    onGap: () => cache.expireAll(),
    renew: () => link.renew(),
  })
  return {
    async verify(keyText, tenantId) {
      const hashText = hash('sha256', keyText, 'hex')
      const held = cache.peek(hashText)
      const key = held !== undefined ? held : await cache.get(hashText)
      if (key === null || key.tenantId !== tenantId || key.revokedAt !== null) return null
      return key.expiresAt !== null && key.expiresAt.getTime() <= Date.now() ? null : key
    },
    async close() {
      await feed.close()
      await link.close(1)
    },
  }
}

function keyOf(row: Row): ApiKey | null {
  if (row.id === null) return null
  return Object.freeze({
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    scopes: Object.freeze(row.scopes),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
  })
}
