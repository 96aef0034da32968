import { randomBytes } from 'node:crypto'
import type { Directory, DirectoryStatus } from '../../../tiers/directory/types.ts'
import { makeKeyText } from '../../../tiers/keys/text.ts'
import type { ApiKey, KeyVerifier, Scope } from '../../../tiers/keys/types.ts'
import type { Tenant, TenantId } from '../../../tiers/types.ts'

/** A directory and a key store in memory: the two contracts that the edge stands on, and nothing else of them. */
export class World implements Directory, KeyVerifier {
  readonly tenants: Tenant[] = []
  readonly domains = new Map<string, TenantId>()
  readonly keys = new Map<string, ApiKey>()
  /** Names of the calls made, so that a test can say that there were none. */
  readonly calls: string[] = []

  tenant(slug: string, more: Partial<Tenant> = {}): Tenant {
    const id = idOf()
    const placement = { cluster: 'us-1', database: 'app', schema: 'shared', isolation: 'shared', epoch: 1 } as const
    const tenant: Tenant = Object.freeze({
      id,
      slug,
      tier: 'free',
      region: 'us',
      status: 'active',
      placement,
      version: 1,
      ...more,
    })
    this.tenants.push(tenant)
    return tenant
  }

  key(tenant: Tenant, scopes: readonly Scope[] = ['read', 'write']): string {
    const text = makeKeyText(tenant.id)
    const createdAt = new Date()
    const id = `key_${this.keys.size + 1}`
    this.keys.set(text, { id, tenantId: tenant.id, name: 'test', scopes, createdAt, expiresAt: null, revokedAt: null })
    return text
  }

  async verify(keyText: string, tenantId: TenantId): Promise<ApiKey | null> {
    this.calls.push('verify')
    const key = this.keys.get(keyText)
    return key?.tenantId === tenantId ? key : null
  }

  async bySlug(slug: string): Promise<Tenant | null> {
    this.calls.push('bySlug')
    return this.peekSlug(slug)
  }
  async byId(id: TenantId): Promise<Tenant | null> {
    this.calls.push('byId')
    return this.tenants.find((t) => t.id === id) ?? null
  }
  async byDomain(domain: string): Promise<Tenant | null> {
    this.calls.push('byDomain')
    const id = this.domains.get(domain)
    return id === undefined ? null : this.byId(id)
  }
  peekSlug(slug: string): Tenant | null {
    return this.tenants.find((t) => t.slug === slug) ?? null
  }
  /** Holds nothing in memory, so that every look-up shows. */
  peekId(): undefined {
    return undefined
  }
  async refresh(id: TenantId): Promise<Tenant | null> {
    return this.byId(id)
  }
  status(): DirectoryStatus {
    return { connected: true, staleForMs: 0, entries: this.tenants.length, restored: 0, version: 1 }
  }
  async close(): Promise<void> {}
}

function idOf(): TenantId {
  const hex = randomBytes(16).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}` as TenantId
}
