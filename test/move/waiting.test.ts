import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sayHeading } from '../../tiers/directory/headings.ts'
import type { Tenant, TenantId } from '../../tiers/types.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait.ts'

/** What gateways do around a cut-over, so that it is short and servers are left to the mover. */

let system: TestSystem
beforeAll(async () => {
  const tenants = (['acme', 'umbrella', 'stranger'] as const).map(
    (slug) => ({ slug, tier: 'free', region: 'us' }) as const,
  )
  system = await startTestSystem({ tenants, moveSettings: { quarantineMs: 500 } })
})
afterAll(() => system?.close())

const READ = { text: 'select count(*)::int as n from "{room}".customers', params: [] }

async function fence({ id, placement }: Tenant, state: 'open' | 'fenced') {
  const admin = system.control.makerOf(placement!.cluster).admin(placement!.database)
  await admin`select tenancy.set_fence(${id}, ${placement!.epoch}, ${state}, null)`
}

/** Transactions that failed in a database: each entrance that was refused is one. */
async function refusedIn({ placement }: Tenant): Promise<number> {
  const admin = system.control.makerOf(placement!.cluster).admin(placement!.database)
  // A backend tells of its numbers when it is idle for a while.
  await sleep(1_200)
  const [row] = await admin<{ n: number }[]>`
    select xact_rollback::int as n from pg_stat_database where datname = current_database()`
  return row!.n
}

test('of a hundred requests that wait for a room to open one knocks at a time, and all are served when it opens', async () => {
  const tenants = await system.openTenants('us')
  const tenant = await system.control.tenant('umbrella')
  await Promise.all(Array.from({ length: 8 }, () => tenants.session('umbrella').execute(READ)))
  const before = await refusedIn(tenant)
  await fence(tenant, 'fenced')
  const first = Array.from({ length: 10 }, () => tenants.session('umbrella').execute(READ))
  await sleep(200)
  // Those who come later see that others wait.
  const later = Array.from({ length: 90 }, () => tenants.session('umbrella').execute(READ))
  let served = 0
  for (const one of [...first, ...later]) void one.then(() => served++)
  await sleep(1_000)
  expect(served).toBe(0)
  await fence(tenant, 'open')
  for (const { rows } of await Promise.all([...first, ...later])) expect(rows).toEqual([{ n: 0 }])
  // Each of the first knocked once, and then one at a time, less and less often.
  expect((await refusedIn(tenant)) - before).toBeLessThan(10 + 90)
  await tenants.close()
})

test('a request that is given up while it waits keeps no other waiting, nor does one that comes alone', async () => {
  const tenants = await system.openTenants('us')
  const tenant = await system.control.tenant('umbrella')
  await tenants.session('umbrella').execute(READ)
  await fence(tenant, 'fenced')
  const gone = new AbortController()
  const given = tenants.session('umbrella', { signal: gone.signal }).execute(READ)
  given.catch(() => {})
  await sleep(100)
  const other = tenants.session('umbrella').execute(READ)
  gone.abort(new Error('the client went away'))
  await expect(given).rejects.toThrow()
  await fence(tenant, 'open')
  expect((await other).rows).toEqual([{ n: 0 }])
  expect((await tenants.session('umbrella').execute(READ)).rows).toEqual([{ n: 0 }])
  await tenants.close()
})

test('a gateway has connections to a tenant’s new home, which know its tables, before the room that it leaves is shut', async () => {
  const tenants = await system.openTenants('us')
  let isOver = false
  const load = (async () => {
    while (!isOver) {
      await tenants.session('acme').execute(READ)
      await sleep(5)
    }
  })()
  const { moves } = system.control
  let isPlanned = false
  const runner = moves.run(async (point, { target }) => {
    const admin = () => system.control.makerOf(target.placement.cluster).admin(target.placement.database)
    // Hears of a statement that notes nothing, too.
    if (point === 'state:verifying') {
      await admin().unsafe(`
        create sequence tenancy.heard;
        create function tenancy.hear() returns trigger language plpgsql security definer as $$
          begin perform nextval('tenancy.heard'); return null; end $$;
        create trigger hear after insert on tenancy.notes for each statement execute function tenancy.hear()`)
    }
    if (point !== 'before_fence') return
    // The last of a look at all tables.
    await waitUntil('connections that know the tables', async () =>
      (await lastQueriesIn(target.placement.database)).includes('select tenancy.tenant_id()'),
    )
    const [heard] = await admin()<{ is_called: boolean }[]>`select is_called from tenancy.heard`
    isPlanned = heard!.is_called
  })
  try {
    const { id } = await moves.start({ tenant: 'acme', tier: 'enterprise', by: 'test' })
    expect(await moves.reached(id, 'watching')).toMatchObject({ state: 'watching' })
    // What notes the changes of the first who writes there.
    expect(isPlanned).toBe(true)
    // The new home's connections do not keep it from being removed.
    await moves.rollback(id)
    expect(await moves.reached(id, 'rolled_back')).toMatchObject({ state: 'rolled_back' })
    isOver = true
    await load
  } finally {
    isOver = true
    await runner.close()
  }
})

test('a heading moves nobody, and one that is no heading harms nothing', async () => {
  const tenants = await system.openTenants('us')
  const { placement, id } = await system.control.tenant('umbrella')
  const other = await system.control.tenant('stranger')
  await tenants.session('umbrella').execute(READ)
  const admin = system.control.makerOf(placement!.cluster).admin('postgres')
  await admin`create database elsewhere`
  const control = postgres(system.env.INNKEEPER_CONTROL_URL!, { max: 1 })
  const heading = (tenant: TenantId) => ({ tenant, placement: { ...placement!, database: 'elsewhere', epoch: 99 } })
  await sayHeading(control, heading(id))
  // Of a tenant that this gateway does not serve, or about another region's cluster: nothing is done.
  await sayHeading(control, { tenant: other.id, placement: { ...placement!, cluster: 'eu-1' } })
  for (const text of ['', '{', 'null', '{"tenant":1}', `{"tenant":"${id}","placement":{"cluster":"us-1"}}`]) {
    await control`select pg_notify('innkeeper_headings', ${text})`
  }
  expect((await tenants.session('umbrella').execute(READ)).rows).toEqual([{ n: 0 }])
  await tenants.close()
  await waitUntil('connections to end', async () => (await lastQueriesIn('elsewhere')).length === 0)
  await control.end()
})

test('who makes ready for a tenant wakes no trigger of the application’s', async () => {
  const tenants = await system.openTenants('us')
  const tenant = await system.control.tenant('stranger')
  const { cluster, database } = tenant.placement!
  await tenants.session('stranger').execute(READ)
  const admin = system.control.makerOf(cluster).admin(database)
  await admin.unsafe(`
    create sequence public.heard;
    create function public.hear() returns trigger language plpgsql security definer as $$
      begin perform nextval('public.heard'); return null; end $$;
    create trigger hear after update on app.customers for each statement execute function public.hear();
    create trigger hear after update on app.tickets for each row execute function public.hear()`)
  const control = postgres(system.env.INNKEEPER_CONTROL_URL!, { max: 1 })
  try {
    const [{ now }] = (await admin`select clock_timestamp()::text as now`) as unknown as [{ now: string }]
    const looked = async () => {
      // Again: a gateway that was opened a moment ago may not listen yet, or have forgotten the tenant for news of it.
      await fence(tenant, 'open')
      await tenants.session('stranger').execute(READ)
      await fence(tenant, 'fenced')
      await sayHeading(control, { tenant: tenant.id, placement: tenant.placement! })
      await sleep(500)
      const found = await admin`select from pg_stat_activity
        where datname = ${database} and query = 'select tenancy.tenant_id()' and query_start > ${now}::timestamptz`
      return found.length > 0
    }
    await waitUntil('the look at the tables', looked)
    // What it looks with is undone as a whole; a sequence is not.
    expect(await admin`select is_called from public.heard`).toEqual([{ is_called: false }])
  } finally {
    await fence(tenant, 'open')
    await admin.unsafe('drop trigger hear on app.customers; drop trigger hear on app.tickets')
    await control.end()
    await tenants.close()
  }
})

/** Of the gateways' connections there. */
async function lastQueriesIn(database: string): Promise<string[]> {
  const { placement } = await system.control.tenant('umbrella')
  const admin = system.control.makerOf(placement!.cluster).admin('postgres')
  const rows = await admin<{ query: string }[]>`
    select query from pg_stat_activity where datname = ${database} and application_name not like 'innkeeper%'`
  return rows.map((r) => r.query)
}
