import type { GatewayContext } from './env.ts'

/** `GET /v1/whoami`: what the gateway makes of a credential. */
export function whoami(c: GatewayContext): Response {
  const { tenant, keyId, kind, scopes, user } = c.get('principal')
  return c.json({
    tenant: {
      id: tenant.id,
      slug: tenant.slug,
      tier: tenant.tier,
      region: tenant.region,
      isolation: c.get('tier').isolation,
    },
    credential: { kind, key_id: keyId, scopes },
    user,
  })
}
