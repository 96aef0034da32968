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

/** Makes, lists and revokes keys in one region's key store; for the control plane. */
export interface KeyAdmin {
  /** @returns the record and the key's text, which nobody can show again */
  create(tenantId: TenantId, key: NewKey): Promise<{ key: ApiKey; text: string }>
  list(tenantId: TenantId): Promise<ApiKey[]>
  /** Revoking a revoked key changes nothing. @returns null where the tenant has no such key */
  revoke(tenantId: TenantId, id: string): Promise<ApiKey | null>
}

const COLUMNS = `id, tenant_id as "tenantId", name, scopes, created_at as "createdAt",
  expires_at as "expiresAt", revoked_at as "revokedAt"`

export function keyAdmin(sql: AdminSql): KeyAdmin {
  const columns = sql.unsafe(COLUMNS)
  return {
    async create(tenantId, { name, scopes, expiresAt }) {
      const text = makeKeyText(tenantId)
      const [key] = await sql<ApiKey[]>`
        insert into keys.api_keys (id, tenant_id, hash, name, scopes, expires_at)
        values (${uuidv7()}, ${tenantId}, ${keyHash(text)}, ${name}, ${[...scopes]}, ${expiresAt})
        returning ${columns}`
      return { key: key!, text }
    },
    list: async (tenantId) =>
      sql<ApiKey[]>`select ${columns} from keys.api_keys where tenant_id = ${tenantId} order by created_at desc, id`,
    async revoke(tenantId, id) {
      const [key] = await sql<ApiKey[]>`
        update keys.api_keys set revoked_at = coalesce(revoked_at, now())
        where id = ${id} and tenant_id = ${tenantId} returning ${columns}`
      return key ?? null
    },
  }
}
