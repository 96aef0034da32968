import { Hono } from 'hono'
import type { Tenants } from '../tiers/tenants.ts'
import type { Claims } from '../tiers/types.ts'
import type { GatewayEnv } from './edge/env.ts'
import { whenOver } from './edge/when-over.ts'

type Variables = GatewayEnv['Variables'] & { db: unknown }

/**
 * Puts the application's own endpoints behind the edge: each handler finds the tenant, the user and the tenant's database
 * in its context, and runs in the tenant's scope, so that code it calls finds them too.
 */
export function appRoutes(routes: Hono, tenants: Tenants<Record<string, unknown>>): Hono {
  const app = new Hono<{ Bindings: GatewayEnv['Bindings']; Variables: Variables }>()
  app.use(async function tenantScope(c, next) {
    const claims = c.get('user') as Claims | null
    await tenants.scope(
      c.get('tenant'),
      async (db) => {
        c.set('db', db)
        await next()
      },
      { claims, signal: c.get('signal'), whenOver: (over) => whenOver(c, over) },
    )
  })
  app.route('/', routes)
  return app as unknown as Hono
}
