import { type Context, createContextKey } from '@opentelemetry/api'
import type { TenantAttributes } from '../../tiers/telemetry.ts'

/** What the spans of one request share. The tenant is known only some way into it, so this is filled in later. */
export interface RequestScope {
  tenant: TenantAttributes | null
}

const SCOPE = createContextKey('innkeeper request')

export function withScope(context: Context, scope: RequestScope): Context {
  return context.setValue(SCOPE, scope)
}

export function tenantOf(context: Context): TenantAttributes | undefined {
  return (context.getValue(SCOPE) as RequestScope | undefined)?.tenant ?? undefined
}
