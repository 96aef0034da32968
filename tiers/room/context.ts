import { AsyncLocalStorage } from 'node:async_hooks'
import { InnkeeperError } from '../errors.ts'
import type { Claims, TenantId } from '../types.ts'

/** Whose work the running code does. It follows promises, timers and callbacks. */
export interface TenantScope {
  readonly tenantId: TenantId
  readonly slug: string
  readonly claims: Claims | null
  /** Ends the statements of the work. */
  readonly signal: AbortSignal | undefined
}

export interface TenantContext {
  /** @throws InnkeeperError `no_tenant` outside a scope */
  current(): TenantScope
  /** @throws InnkeeperError `tenant_switch` inside another tenant's scope */
  run<T>(scope: TenantScope, work: () => T): T
  /** @throws InnkeeperError `tenant_switch` when the running code works for another tenant */
  assertMayUse(tenantId: TenantId): void
}

/** One context per data layer, not one per module: two of them in a process do not see each other's scopes. */
export function createTenantContext(): TenantContext {
  const storage = new AsyncLocalStorage<TenantScope>()
  const assertMayUse = (tenantId: TenantId) => {
    const current = storage.getStore()
    if (current === undefined || current.tenantId === tenantId) return
    throw new InnkeeperError('tenant_switch', 'The running code works for another tenant', {
      details: `in the scope of ${current.tenantId}, asked for ${tenantId}`,
      hint: 'End the scope first; work for several tenants goes through withEachTenant.',
    })
  }
  return {
    current() {
      const scope = storage.getStore()
      if (scope !== undefined) return scope
      throw new InnkeeperError('no_tenant', 'No tenant: this code runs outside every tenant scope', {
        hint: 'Wrap it in tenants.scope(tenant, ...), or name the tenant with tenants.for(tenant).',
      })
    },
    run(scope, work) {
      assertMayUse(scope.tenantId)
      return storage.run(scope, work)
    },
    assertMayUse,
  }
}
