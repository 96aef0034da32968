import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { moveStore } from '../../tiers/move/store.ts'
import type { Home, Move } from '../../tiers/move/types.ts'
import type { TenantId } from '../../tiers/types.ts'
import { QUICK } from '../move/support/two-clusters.ts'
import { BUSY } from '../support/busy.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'

const HUNG_MS = 10_000 * BUSY
const SLUGS = ['acme', 'hooli', 'initech', 'umbrella', 'globex'] as const

let system: TestSystem
beforeAll(async () => {
  system = await startTestSystem({
    tenants: SLUGS.map((slug) => ({ slug, tier: 'free', region: 'us' })),
    moveSettings: QUICK,
    configure(input) {
      const { us } = input.regions
      return { ...input, regions: { us: { ...us!, clusters: { 'us-1': { ...us!.clusters['us-1']!, movesMax: 2 } } } } }
    },
  })
})
const gates: { held: Map<string, () => void> }[] = []
afterAll(() => {
  for (const { held } of gates) for (const go of held.values()) go()
  return system?.close()
})

/** Holds every move at a point until it is let go, and knows who was under way together. */
function gate(at: string) {
  const held = new Map<string, () => void>()
  const made = {
    held,
    async hook(point: string, { move }: { move: Move }) {
      if (point === at) await new Promise<void>((resolve) => held.set(move.id, resolve))
    },
    letGo(id: string) {
      held.get(id)!()
      held.delete(id)
    },
  }
  gates.push(made)
  return made
}

test('a cluster takes so many moves at a time, of all movers together; the others say what they wait for', async () => {
  const { moves } = system.control
  const { held, hook, letGo } = gate('state:copying')
  // Two movers, as of two processes.
  const movers = [moves.run(hook), moves.run(hook)]
  const started: Move[] = []
  for (const slug of SLUGS) started.push(await moves.start({ tenant: slug, tier: 'pro', by: 'test' }))
  let most = 0
  const waiting = async () => (await moves.list({ open: true })).filter((m) => m.state === 'planned')
  for (let done = 0; done < SLUGS.length; done++) {
    await waitUntil('a move to come to the gate', () => held.size >= Math.min(2, SLUGS.length - done), HUNG_MS)
    most = Math.max(most, held.size)
    const left = Math.max(0, SLUGS.length - 2 - done)
    await waitUntil(
      'the others to say what they wait for',
      async () => {
        const reasons = (await waiting()).map((m) => m.reason)
        return reasons.length === left && reasons.every((r) => r === 'waiting for a place on cluster us-1')
      },
      HUNG_MS,
    )
    // In the order in which they were asked for.
    const { id } = started[done]!
    letGo(id)
    // Its place is free as soon as it is only watched.
    expect(await moves.reached(id, 'watching')).toMatchObject({ state: 'watching', reason: null })
  }
  expect(most).toBe(2)
  for (const m of movers) await m.close()
})

test('a move that waits can be called off, and leaves nothing', async () => {
  const { moves } = system.control
  const { held, hook, letGo } = gate('state:copying')
  const mover = moves.run(hook)
  const start = (tenant: string) => moves.start({ tenant, tier: 'enterprise', by: 'test' })
  const [one, two] = [await start('acme'), await start('hooli')]
  await waitUntil('two to come to the gate', () => held.size === 2)
  const three = await start('initech')
  await expect.poll(async () => (await moves.get(three.id)).reason).toBe('waiting for a place on cluster us-1')
  await moves.abort(three.id)
  expect(await moves.reached(three.id, 'aborted')).toMatchObject({ state: 'aborted' })
  for (const { id } of [one, two]) {
    expect((await moves.get(id)).state).toBe('copying')
    letGo(id)
    await moves.reached(id, 'watching')
  }
  await mover.close()
})

test('a new move of a tenant that is watched completes that one first: its rows are gone before the new room is made', async () => {
  const { moves } = system.control
  const { id: tenant } = await system.control.tenant('globex')
  const pool = system.control.makerOf('us-1').admin('innkeeper_shared')
  const remains = async () => {
    const [row] = await pool<{ n: number }[]>`
      select (select count(*) from app.tags where tenant_id = ${tenant})::int
        + (select count(*) from tenancy.fence where tenant_id = ${tenant})::int
        + (select count(*) from tenancy.notes where tenant_id = ${tenant})::int as n`
    return row!.n
  }
  const session = (await system.openTenants('us')).session('globex')
  const mover = moves.run()
  await session.execute({ text: `insert into "{room}".tags (name) values ('mine')`, params: [] })
  const [before] = await moves.list({ tenantId: tenant, open: true })
  expect(before).toMatchObject({ state: 'watching', to: { placement: { isolation: 'schema' } } })
  // The reverse stream brings the row to the room in the pool that was left.
  await expect.poll(remains).toBeGreaterThan(0)
  await mover.close()
  const seen: unknown[] = []
  const second = moves.run(async (point, { move }) => {
    if (move.tenantId !== tenant || point !== 'state:preparing') return
    seen.push({ remains: await remains(), before: (await moves.get(before!.id)).state })
  })
  const after = await moves.start({ tenant: 'globex', tier: 'free', by: 'test' })
  expect(await moves.reached(after.id, 'watching')).toMatchObject({ state: 'watching' })
  expect(seen).toEqual([{ remains: 0, before: 'completed' }])
  await second.close()
})

test('a tenant who writes nothing while it is watched keeps no connection; what it writes then comes back with it', async () => {
  const { moves } = system.control
  const { id: tenant } = await system.control.tenant('umbrella')
  const postgresDb = system.control.makerOf('us-1').admin('postgres')
  const session = (await system.openTenants('us')).session('umbrella')
  const [move] = await moves.list({ tenantId: tenant, open: true })
  const connections = () =>
    postgresDb`select from pg_stat_activity where application_name like ${`innkeeper-move-${move!.id}-%`}`
  const mover = moves.run()
  await waitUntil('the mover to have taken it up', async () => (await connections()).length > 0, HUNG_MS)
  await waitUntil('its connections to be closed', async () => (await connections()).length === 0, HUNG_MS)
  await session.execute({ text: `insert into "{room}".tags (name) values ('late')`, params: [] })
  await moves.rollback(move!.id)
  expect(await moves.reached(move!.id, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
  const { rows } = await session.execute({ text: `select name from "{room}".tags`, params: [] })
  expect(rows).toEqual([{ name: 'late' }])
  await mover.close()
})

test('a move has a place at both its clusters, and nothing that is half done waits for one', async () => {
  const sql = postgres(system.config.controlUrl, { onnotice: () => {} })
  const store = moveStore(sql)
  const homeAt = (cluster: string): Home => ({
    placement: { cluster, database: 'd', schema: 's', isolation: 'shared', epoch: 1 },
    tier: 'free',
    region: 'us',
  })
  const begin = async (from: string, to: string) => {
    const tenantId = randomUUID() as TenantId
    await sql`insert into tenants (id, slug, tier, region, status) values (${tenantId}, ${tenantId}, 'free', 'us', 'active')`
    const move = { tenantId, from: homeAt(from), to: homeAt(to), askedBy: 'test', rowsTotal: 0 }
    return (await store.begin(move)).id
  }
  // Those of the tests before have a runner.
  const except = (await store.list({ open: true, limit: 100 })).map((m) => m.id)
  const claim = async (mayBegin = true) =>
    (await store.claim({ owner: 'one', leaseMs: 60_000, except, placesMax: { x: 1, y: 1 }, mayBegin, regions: null }))
      ?.id ?? null
  const [across, there, elsewhere] = [await begin('x', 'y'), await begin('y', 'y'), await begin('z', 'z')]
  expect(await claim(false)).toBe(null)
  expect((await store.get(across))!.reason).toBe('waiting for a mover that is free')
  expect([await claim(), await claim(), await claim()]).toEqual([across, elsewhere, null])
  expect((await store.get(there))!.reason).toBe('waiting for a place on cluster y')
  // Its mover died in the middle of it: it goes on first, and its place stays taken.
  await sql`update moves set state = 'copying', lease_until = now() - interval '1 s' where id = ${across}`
  expect([await claim(false), await claim()]).toEqual([across, null])
  await sql`update moves set state = 'watching' where id = ${across}`
  expect(await claim()).toBe(there)
  await sql.end()
})
