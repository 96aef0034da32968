import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import type { ConfigInput } from '../../config/index.ts'
import { withAdmin } from '../../tiers/pg/admin.ts'
import type { Isolation, Placement, TenantId } from '../../tiers/types.ts'
import { send } from '../gateway/support.ts'
import { type GatewayProcess, spawnLoadGateway } from '../move/support/gateway.ts'
import { expectNothingLeft, openFences } from '../move/support/left.ts'
import { expectNothingLost, startLoad } from '../move/support/load.ts'
import { httpClient, LoadFailure } from '../move/support/load-client.ts'
import { startTwoClusters, TIER_OF } from '../move/support/two-clusters.ts'
import { BUSY } from '../support/busy.ts'
import type { TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'

vi.setConfig({ testTimeout: 15_000 * BUSY })

let system: TestSystem
let gateway: GatewayProcess
beforeAll(async () => {
  system = await startTwoClusters([{ slug: 'acme', tier: 'free', region: 'us' }])
  system.control.moves.run()
  gateway = await spawnLoadGateway({ input: impatient(system.input), env: system.env })
})
afterAll(async () => {
  await gateway?.kill()
  await system?.close()
})

/** A transaction that nobody goes on with is ended by the server soon; a request that was stopped half way is not too old. */
function impatient(input: ConfigInput): ConfigInput {
  const tiers = Object.entries(input.tiers).map(([name, tier]) => [
    name,
    { ...tier, limits: { ...tier.limits, idleInTransactionTimeoutMs: 1_000 } },
  ])
  const http = { ...input.http, headersTimeoutMs: 120_000, requestTimeoutMs: 120_000 }
  return { ...input, http, tiers: Object.fromEntries(tiers) }
}

const client = () => httpClient(() => gateway.url, 'acme', system.keyOf('acme'))
const port = () => Number(new URL(gateway.url).port)
const home = async () => (await system.control.tenant('acme')).placement!

/** What is really in a room, by a look that asks neither the directory nor the fence. */
async function emailsIn(room: Placement, tenant: TenantId, like: string): Promise<string[]> {
  const { adminUrl } = system.config.regions.get('us')!.secrets!.clusters.get(room.cluster)!
  return withAdmin(adminUrl!, room.database, {}, async (sql) => {
    const rows = await sql.unsafe(
      `select email from "${room.schema}".customers where tenant_id = $1 and email like $2 order by 1`,
      [tenant, like],
    )
    return rows.map((r) => r.email as string)
  })
}

/**
 * Appends through the gateway without a pause, several at a time. Each on a connection of its own: one that is kept is
 * closed by a gateway that wakes up to find it idle for too long, whatever has just been sent on it.
 */
function startWriters(tag: string) {
  const acknowledged: string[] = []
  const failures: string[] = []
  let stopped = false
  const one = async (writer: number) => {
    for (let n = 0; !stopped && failures.length < 5; n++) {
      const email = `${tag}-${writer}-${n}`
      try {
        const { status, text } = await send(port(), '/t/acme/rest/v1/customers', {
          method: 'POST',
          headers: { apikey: system.keyOf('acme'), 'content-type': 'application/json' },
          body: JSON.stringify({ name: 'x', email }),
        })
        if (status === 201) acknowledged.push(email)
        else failures.push(`${status} ${text}`)
      } catch (error) {
        failures.push((error as Error).message)
      }
    }
  }
  onTestFinished(() => {
    stopped = true
  })
  const all = Promise.all([0, 1, 2, 3].map(one))
  return {
    acknowledged,
    more: (n: number) => {
      const until = acknowledged.length + n
      return waitUntil(`${n} writes`, () => acknowledged.length >= until || failures.length > 0, 5_000 * BUSY)
    },
    async stop() {
      stopped = true
      await all
      return failures
    },
  }
}

test.each([
  ['schema', 'it is watched'],
  ['database', 'it is completed and the room that was left is gone'],
  ['shared', 'it is completed and the room that was left is gone'],
] as const)(
  'a gateway that is stopped for a whole move to %s and wakes up when %s: the old room takes not one write, and no request fails',
  async (isolation: Isolation, when) => {
    const { moves } = system.control
    const tag = `stopped-${isolation}`
    const [before, others] = [await home(), await startLoad(await system.openTenants('us'), 'acme', 1)]
    const writers = startWriters(tag)
    await writers.more(20)
    gateway.signal('SIGSTOP')
    const asleep = writers.acknowledged.length
    const { id, tenantId } = await moves.start({ tenant: 'acme', tier: TIER_OF[isolation], by: 'test' })
    expect(await moves.reached(id, 'watching')).toMatchObject({ state: 'watching' })
    if (when !== 'it is watched') {
      await moves.complete(id)
      expect(await moves.reached(id, 'completed')).toMatchObject({ state: 'completed' })
    }
    // What was on its way when it was stopped may have been answered since; nothing was sent.
    expect(writers.acknowledged.length - asleep).toBeLessThanOrEqual(4)
    gateway.signal('SIGCONT')
    await writers.more(20)
    expect(await writers.stop()).toEqual([])
    expectNothingLost(await others.stop())
    const { acknowledged } = writers
    expect(acknowledged.length).toBeGreaterThan(asleep + 10)
    // A write that the old room had taken would be missing here.
    expect(await emailsIn(await home(), tenantId, `${tag}-%`)).toEqual([...acknowledged].sort())
    expect(await openFences(system, tenantId)).toHaveLength(1)
    if (when === 'it is watched') {
      await moves.complete(id)
      expect(await moves.reached(id, 'completed')).toMatchObject({ state: 'completed' })
    }
    await expectNothingLeft(system, before, tenantId)
  },
)

test('a gateway that is stopped inside a transaction holds the move up until the server ends it, and wakes up to an error, not to a lost write', async () => {
  const { moves } = system.control
  const { id: tenantId } = await system.control.tenant('acme')
  const before = await home()
  const session = (await system.openTenants('us')).session('acme')
  const accounts = async () =>
    (
      await session.execute({
        text: `select name, color from "{room}".tags where name like 'pair-%' order by 1`,
        params: [],
      })
    ).rows
  for (const name of ['pair-a', 'pair-b']) {
    await session.execute({ text: `insert into "{room}".tags (name, color) values ($1, '500')`, params: [name] })
  }
  const transfer = client().transfer('pair-a', 'pair-b', 2_000)
  transfer.catch(() => {})
  const isInside = async () => {
    const { server } = system.servers.get(before.cluster === 'us-1' ? 'us' : 'eu')!
    const rows = await withAdmin(
      server.url(),
      before.database,
      {},
      async (sql) => sql`select from pg_stat_activity where state = 'idle in transaction' and query like '%tags%'
        and usename = 'innkeeper_app'`,
    )
    return rows.length > 0
  }
  await waitUntil('the transaction to be between its statements', isInside, 5_000 * BUSY)
  // Not before: it has such transactions too.
  const load = await startLoad(await system.openTenants('us'), 'acme', 1)
  gateway.signal('SIGSTOP')
  const { id } = await moves.start({ tenant: 'acme', tier: 'pro', by: 'test' })
  const move = await moves.reached(id, 'watching')
  expect(move, move.reason ?? '').toMatchObject({ state: 'watching' })
  gateway.signal('SIGCONT')
  await expect(transfer).rejects.toBeInstanceOf(LoadFailure)
  expect(await accounts()).toEqual([
    { name: 'pair-a', color: '500' },
    { name: 'pair-b', color: '500' },
  ])
  await client().transfer('pair-a', 'pair-b', 0)
  expect(await accounts()).toEqual([
    { name: 'pair-a', color: '499' },
    { name: 'pair-b', color: '501' },
  ])
  expectNothingLost(await load.stop())
  expect(await openFences(system, tenantId)).toHaveLength(1)
})
