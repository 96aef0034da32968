import { expect } from 'vitest'
import type { Answer, TestGateway } from '../../gateway/support.ts'
import type { Canary } from './canary.ts'
import type { Topology } from './topology.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

/**
 * Everything that a client of a tenant can put a value into, at one gateway: bodies, filters, headers, paths, what fails and
 * what is refused. @returns the statuses
 */
export async function askAll(gateway: TestGateway, { slug, text }: Canary, key: string): Promise<Set<number>> {
  const statuses = new Set<number>()
  const ask = async (path: string, options: Parameters<TestGateway['ask']>[1] = {}): Promise<Answer> => {
    const answer = await gateway.ask(path, { ...options, headers: { apikey: key, ...options.headers } })
    statuses.add(answer.status)
    return answer
  }
  const post = (table: string, row: unknown, prefer = 'return=representation') =>
    ask(`/rest/v1/${table}`, { method: 'POST', body: JSON.stringify(row), headers: { ...JSON_TYPE, prefer } })

  const customer = { name: text, email: `${text}@example.com`, custom: { note: text } }
  const made = await post('customers', customer)
  // A second time: the server's message of a unique conflict holds the value.
  await post('customers', customer)
  await post('customers', [{ ...customer, name: `${text} again` }], 'resolution=merge-duplicates,return=representation')
  await post('customers', { name: text, nonsense: text })
  await post('tickets', { subject: text, status: text, customer_id: 1 })
  const id = made.json?.[0]?.id
  const ticket = await post('tickets', { subject: text, body: text, customer_id: id ?? 1 })
  await ask(`/rest/v1/customers?name=eq.${text}&select=id,name,tickets(subject)`)
  await ask(`/rest/v1/customers?name=like.*${text}*&order=${text}`)
  await ask(`/rest/v1/${text}?id=eq.1`)
  await ask(`/rest/v1/customers?id=eq.${text}`)
  await ask(`/rest/v1/customers?name=eq.${text}`, {
    method: 'PATCH',
    body: JSON.stringify({ company: text }),
    headers: JSON_TYPE,
  })
  await ask(`/v1/tickets/${ticket.json?.[0]?.id ?? 1}/resolve?why=${text}`, { method: 'POST', body: text })
  await ask('/v1/whoami', { headers: { 'x-note': text, cookie: `session=${text}`, 'user-agent': text, referer: text } })
  await ask(`/t/${slug}/rest/v1/tickets?subject=eq.${text}`)
  // Two tenants in one request, at home and away.
  await ask(`/t/acme/rest/v1/tickets?subject=eq.${text}`)
  await ask(`/t/acme/rest/v1/${text}`)
  await ask(`/nowhere/${text}`, { method: 'POST', body: text })
  await ask('/v1/whoami', { headers: { apikey: key.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')) } })
  await ask('/rest/v1/customers', { method: 'POST', body: `{"name": "${text}`, headers: JSON_TYPE })
  return statuses
}

/** What operators do about a tenant, its move to another room of its region and back among it. */
export async function operate({ control, world }: Topology, slug: string): Promise<void> {
  const tenant = await control.tenant(slug)
  const tiers = world.system.config.tiers
  await control.suspend(slug)
  await control.resume(slug)
  const other = Object.keys(tiers).find((t) => tiers[t]!.isolation === (tenant.tier === 'pro' ? 'database' : 'schema'))!
  const { id } = await control.moves.start({ tenant: slug, tier: other, by: 'test' })
  expect(await control.moves.reached(id, 'watching')).toMatchObject({ state: 'watching' })
  await control.moves.rollback(id)
  expect(await control.moves.reached(id, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
  const keys = control.keysOf(tenant.region)
  const { key } = await keys.create(tenant.id, { name: 'spare', scopes: ['read'], expiresAt: null })
  await keys.revoke(tenant.id, key.id)
}
