import type { TenantId } from '../types.ts'

export type Scope = 'read' | 'write'

/** An API key as its home region stores it. The secret itself is nowhere: only a hash of it. */
export interface ApiKey {
  readonly id: string
  readonly tenantId: TenantId
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
}

/** Reads keys at the gateway of their home region; cached, a revocation is effective within a second. */
export interface KeyVerifier {
  /**
   * The key's record when the whole key text is right, neither expired nor revoked; else null.
   * @param tenantId the tenant that the key text names
   */
  verify(keyText: string, tenantId: TenantId): Promise<ApiKey | null>
  close(): Promise<void>
}
