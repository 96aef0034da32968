import type { GatewayMiddleware } from './env.ts'

/** What a gateway needs, by name, and whether it has it; and what else an operator wants to see there. */
export interface Readiness {
  readonly checks: Readonly<Record<string, boolean>>
  readonly facts?: Readonly<Record<string, unknown>>
}

export type Ready = () => Promise<Readiness>

/**
 * `/healthz`: the process answers. `/readyz`: it should be sent requests. Both are open, by any host name or address.
 *
 * @param isDraining true once the gateway is stopping: a load balancer then looks elsewhere
 */
export function health(ready: Ready, isDraining: () => boolean): GatewayMiddleware {
  return async function health(c, next) {
    if (c.req.path === '/healthz') return c.json({ status: 'ok' })
    if (c.req.path !== '/readyz') return next()
    const readiness = await ready()
    const checks = { ...readiness.checks, accepting: !isDraining() }
    const isReady = Object.values(checks).every(Boolean)
    return c.json({ status: isReady ? 'ready' : 'not ready', checks, ...readiness.facts }, isReady ? 200 : 503)
  }
}
