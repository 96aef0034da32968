import { v7 as uuidv7 } from 'uuid'
import type { AdminSql } from '../pg/admin.ts'
import type { TenantId } from '../types.ts'
import { makeKeyText } from './text.ts'
import type { ApiKey, Scope } from './types.ts'
import { keyHash } from './verifier.ts'

export interface NewKey {
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly expiresAt: Date | null
}

export interface KeyPage {
  /** Made before this key. */
  readonly after?: string | undefined
  readonly limit: number
}

/** Makes, lists and revokes keys in one region's key store; for the control plane. */
export interface KeyAdmin {
  /** @returns the record and the key's text, which nobody can show again */
  create(tenantId: TenantId, key: NewKey): Promise<{ key: ApiKey; text: string }>
  /** The newest first; all of them where no page is asked for. */
  list(tenantId: TenantId, page?: KeyPage): Promise<ApiKey[]>
  /** How many keys that are good each tenant has here. */
  counts(): Promise<{ tenant: TenantId; keys: number }[]>
  /** Revoking a revoked key changes nothing. @returns null where the tenant has no such key */
  revoke(tenantId: TenantId, id: string): Promise<ApiKey | null>
  /** The store's time, in seconds, as text. */
  clock(): Promise<string>
  /**
   * Gives another region's store the tenant's keys as they are here: only their hashes travel. Idempotent.
   *
   * @param until a moment by the other store's clock, as SQL: from then on nothing is done
   * @returns false where the moment was past
   */
  copyTo(other: KeyAdmin, tenantId: TenantId, until?: string): Promise<boolean>
  take(keys: readonly StoredKey[], until?: string): Promise<boolean>
  /** Forgets the tenant's keys. @param until by this store's clock @returns false where the moment was past */
  remove(tenantId: TenantId, until?: string): Promise<boolean>
}

/** A key as its store has it. */
export type StoredKey = Readonly<Record<string, unknown>>

const COLUMNS = `id, tenant_id as "tenantId", name, scopes, created_at as "createdAt",
  expires_at as "expiresAt", revoked_at as "revokedAt"`

export function keyAdmin(sql: AdminSql): KeyAdmin {
  const columns = sql.unsafe(COLUMNS)
  // Looked at by the statement that it decides about, and not by one before it.
  const turn = (until: string | undefined) =>
    until === undefined
      ? sql`select true as ok`
      : sql`select extract(epoch from clock_timestamp()) < ${sql.unsafe(until)} as ok`
  return {
    async create(tenantId, { name, scopes, expiresAt }) {
      const text = makeKeyText(tenantId)
      const [key] = await sql<ApiKey[]>`
        insert into keys.api_keys (id, tenant_id, hash, name, scopes, expires_at)
        values (${uuidv7()}, ${tenantId}, ${keyHash(text)}, ${name}, ${[...scopes]}, ${expiresAt})
        returning ${columns}`
      return { key: key!, text }
    },
    list: async (tenantId, { after, limit }: Partial<KeyPage> = {}) =>
      sql<ApiKey[]>`
        select ${columns} from keys.api_keys
        where tenant_id = ${tenantId} ${after ? sql`and id < ${after}` : sql``} order by id desc limit ${limit ?? null}`,
    counts: async () =>
      sql<{ tenant: TenantId; keys: number }[]>`
        select tenant_id as tenant, count(*)::int as keys from keys.api_keys where revoked_at is null group by 1 order by 1`,
    async revoke(tenantId, id) {
      const [key] = await sql<ApiKey[]>`
        update keys.api_keys set revoked_at = coalesce(revoked_at, now())
        where id = ${id} and tenant_id = ${tenantId} returning ${columns}`
      return key ?? null
    },
    async clock() {
      const [row] = await sql<{ now: string }[]>`select extract(epoch from clock_timestamp())::text as now`
      return row!.now
    },
    async copyTo(other, tenantId, until) {
      const rows = await sql<{ key: StoredKey }[]>`
        select to_jsonb(k) || jsonb_build_object('hash', encode(hash, 'hex')) as key
        from keys.api_keys k where tenant_id = ${tenantId}`
      return other.take(
        rows.map((r) => r.key),
        until,
      )
    },
    async take(keys, until) {
      for (const key of keys) {
        const [row] = await sql<{ ok: boolean }[]>`
          with turn as materialized (${turn(until)}), taken as (
            insert into keys.api_keys (id, tenant_id, hash, name, scopes, created_at, expires_at, revoked_at)
            select k.id, k.tenant_id, decode(${key.hash as string}, 'hex'), k.name, k.scopes, k.created_at, k.expires_at, k.revoked_at
            from jsonb_populate_record(null::keys.api_keys, ${sql.json(key as never)} - 'hash') k
            where (select ok from turn)
            on conflict (id) do update set revoked_at = excluded.revoked_at where api_keys.revoked_at is null
          ) select ok from turn`
        if (!row!.ok) return false
      }
      return true
    },
    async remove(tenantId, until) {
      const [row] = await sql<{ ok: boolean }[]>`
        with turn as materialized (${turn(until)}), gone as (
          delete from keys.api_keys where tenant_id = ${tenantId} and (select ok from turn)
        ) select ok from turn`
      return row!.ok
    },
  }
}
