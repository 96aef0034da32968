import { expect } from 'vitest'
import { US_TENANTS } from '../support/system.ts'
import { type Answer, type Ask, startWorld, supabase, type TestGateway, type World } from './support.ts'

export const SLUGS = US_TENANTS.map((t) => t.slug)
export const BODY_MAX = 64 * 1024
export const JSON_TYPE = { 'content-type': 'application/json' }
const MARK = 'MARKED-ROW-OF-ANOTHER'

/** A gateway for whoever means no good, beside a tenant of whom nothing may be seen. */
export interface HostileWorld {
  readonly world: World
  readonly gateway: TestGateway
  /** By acme. */
  post(path: string, body: string | Buffer, headers?: Record<string, string>): Promise<Answer>
  /** Whatever came in, the answer is one of the client's fault or a result, and tells of nobody and nothing else. */
  harmless(path: string, options: Ask): Promise<number>
}

export async function startHostileWorld(): Promise<HostileWorld> {
  const world = await startWorld({
    tenants: [{ slug: 'victim', tier: 'free', region: 'us' }, ...US_TENANTS],
    configure: (input) => ({
      ...input,
      http: { requestTimeoutMs: 1_500, headersTimeoutMs: 1_000 },
      tiers: Object.fromEntries(
        Object.entries(input.tiers).map(([name, tier]) => [
          name,
          { ...tier, limits: { ...tier.limits, bodyBytesMax: BODY_MAX } },
        ]),
      ),
    }),
  })
  const gateway = await world.gateway()
  for (const slug of ['victim', ...SLUGS]) {
    const name = slug === 'victim' ? MARK : slug
    const client = supabase(world, gateway, slug)
    await client.from('customers').insert({ id: 1, name, email: name, custom: { name } })
    await client.from('tickets').insert({ id: 1, customer_id: 1, subject: name })
  }
  return {
    world,
    gateway,
    post: (path, body, headers = JSON_TYPE) =>
      gateway.ask(`/rest/v1/${path}`, { as: 'acme', method: 'POST', headers, body }),
    async harmless(path, options) {
      const logged = gateway.logs.length
      const { status, text } = await gateway.ask(path, options)
      if (status >= 500)
        throw new Error(
          `${options.method ?? 'GET'} ${path} ${options.body ?? ''}: ${status} ${text} ${JSON.stringify(gateway.logs.slice(logged))}`,
        )
      expect(text).not.toContain(MARK)
      return status
    },
  }
}
