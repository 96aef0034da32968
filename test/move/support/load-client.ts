import { setTimeout as sleep } from 'node:timers/promises'
import { isInnkeeperError } from '../../../tiers/errors.ts'
import type { Tenants } from '../../../tiers/tenants.ts'

/** What a load does in a tenant's room, whichever way it gets there. Each rejects where the request failed. */
export interface LoadClient {
  readonly name: string
  append(email: string, company: string | null): Promise<void>
  /** How many rows there are by that name. */
  seen(email: string): Promise<number>
  /** A customer with two tickets, in one transaction. @returns its id */
  come(email: string): Promise<string>
  go(id: string): Promise<void>
  /** Between two rows in one transaction, which stays open for so long between its statements. */
  transfer(from: string, to: string, holdMs: number): Promise<void>
  count(): Promise<void>
  /** Of all accounts. */
  sum(): Promise<number>
}

/** Why a request failed, by the code that a client is given; empty where it was given none. */
export class LoadFailure extends Error {
  readonly code: string

  constructor(code: string, message: string, cause?: unknown) {
    super(`${code || 'no code'}: ${message}`, { cause })
    this.code = code
  }
}

/** Through the one interface, in this process. */
export function interfaceClient(tenants: Tenants<Record<string, unknown>>, slug: string): LoadClient {
  const session = tenants.session(slug)
  const run = async (text: string, params: unknown[] = []) =>
    (await session.execute({ text, params })).rows as Record<string, unknown>[]
  const client: LoadClient = {
    name: 'interface',
    async append(email, company) {
      await run(`insert into "{room}".customers (name, email, company) values ('x', $1, $2) returning id`, [
        email,
        company,
      ])
    },
    seen: async (email) => (await run(`select id from "{room}".customers where email = $1`, [email])).length,
    come: (email) =>
      session.transaction(async (tx) => {
        const made = await tx.execute({
          text: `insert into "{room}".customers (name, email) values ('y', $1) returning id`,
          params: [email],
        })
        const { id } = made.rows[0] as { id: string }
        const text = `insert into "{room}".tickets (customer_id, subject) values ($1, 's'), ($1, 't')`
        await tx.execute({ text, params: [id] })
        return id
      }),
    async go(id) {
      await run(`delete from "{room}".customers where id = $1`, [id])
    },
    transfer: (from, to, holdMs) =>
      session.transaction(async (tx) => {
        const text = `update "{room}".tags set color = (color::int + $2)::text where name = $1`
        for (const [i, name] of [from, to].sort().entries()) {
          if (i > 0 && holdMs > 0) await sleep(holdMs)
          await tx.execute({ text, params: [name, from === to ? 0 : name === from ? -1 : 1] })
        }
      }),
    async count() {
      await run(`update "{room}".tags set color = (color::int + 1)::text where name = 'counter'`)
    },
    async sum() {
      const rows = await run(`select sum(color::int)::int as sum from "{room}".tags where name like 'account-%'`)
      return Number(rows[0]!.sum)
    },
  }
  return failingByCode(client)
}

/** Through a gateway, with the data API for what is one statement and {@link file://./load-routes.ts} for the rest. */
export function httpClient(url: () => string, slug: string, key: string): LoadClient {
  const ask = async (method: string, path: string, body?: object): Promise<unknown> => {
    let response: Response
    let text: string
    try {
      response = await fetch(`${url()}/t/${slug}${path}`, {
        method,
        headers: { apikey: key, ...(body ? { 'content-type': 'application/json' } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
      text = await response.text()
    } catch (cause) {
      throw new LoadFailure('', `${method} ${path}: ${(cause as { cause?: Error }).cause?.message}`, cause)
    }
    if (response.ok) return text === '' ? null : JSON.parse(text)
    const { code = '' } = JSON.parse(text) as { code?: string }
    throw new LoadFailure(code, `${method} ${path}: ${response.status} ${text}`)
  }
  return {
    name: 'HTTP',
    async append(email, company) {
      await ask('POST', '/rest/v1/customers', { name: 'x', email, company })
    },
    seen: async (email) => ((await ask('GET', `/rest/v1/customers?select=id&email=eq.${email}`)) as []).length,
    come: async (email) => ((await ask('POST', '/load/come', { email })) as { id: string }).id,
    async go(id) {
      await ask('DELETE', `/rest/v1/customers?id=eq.${id}`)
    },
    async transfer(from, to, holdMs) {
      await ask('POST', '/load/transfer', { from, to, holdMs })
    },
    async count() {
      await ask('POST', '/load/count')
    },
    async sum() {
      const rows = (await ask('GET', '/rest/v1/tags?select=color&name=like.account-*')) as { color: string }[]
      return rows.reduce((sum, r) => sum + Number(r.color), 0)
    },
  }
}

function failingByCode(client: LoadClient): LoadClient {
  const wrapped = Object.entries(client).map(([name, value]) => {
    if (typeof value !== 'function') return [name, value]
    const call = value as (...args: unknown[]) => Promise<unknown>
    return [
      name,
      (...args: unknown[]) =>
        call(...args).catch((error: unknown) => {
          const { message, cause } = error as Error
          const because = cause instanceof Error ? ` (${cause.message})` : ''
          throw new LoadFailure(isInnkeeperError(error) ? error.code : '', `${name}: ${message}${because}`, error)
        }),
    ]
  })
  return Object.fromEntries(wrapped) as LoadClient
}
