import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Check } from '../../gateway/admin/doctor/check.ts'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { runCli } from '../support/cli.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let admin: TestAdmin
let umbrella: string
beforeAll(async () => {
  system = await startTestSystem({ regions: ['us', 'eu'] })
  admin = await startTestAdmin(system)
  umbrella = (await system.control.tenant('umbrella')).id
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

const diagnose = async () =>
  (await admin.call('GET', '/admin/v1/doctor?residency=true')).body as { status: string; checks: Check[] }
const on = async <T>(region: 'us' | 'eu', database: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> => {
  const sql = postgres(system.servers.get(region)!.server.url(database), { max: 1, onnotice: () => {} })
  try {
    return await work(sql)
  } finally {
    await sql.end()
  }
}

test('where everything belongs nothing is found, and it says what was looked at', async () => {
  const { looked, foreign } = await system.control.scanResidency()
  expect(foreign).toEqual([])
  expect(looked).toMatchObject([
    { region: 'us', cluster: 'us-1', databases: 3 },
    { region: 'eu', cluster: 'eu-1', databases: 3 },
  ])
  // The shared tables, a schema's and a database's.
  for (const { tables } of looked) expect(tables).toBeGreaterThan(15)
  expect((await diagnose()).checks.filter((c) => c.status !== 'ok')).toEqual([])
})

const TAG = `insert into app.tags (tenant_id, name) values ('TENANT', 'stray')`

/** Each: what is seeded in us of a tenant of eu, where, how it is undone, and what the scan says. */
const SEEDS: readonly (readonly [what: string, database: string, seed: string, undo: string, finds: object])[] = [
  [
    'a row in the shared tables',
    'innkeeper_shared',
    TAG,
    `delete from app.tags where tenant_id = 'TENANT'`,
    { kind: 'rows', database: 'innkeeper_shared', what: '1 rows in app.tags', tenant: 'TENANT' },
  ],
  [
    'a fence',
    'innkeeper_shared',
    `insert into tenancy.fence (tenant_id, epoch, state, room) values ('TENANT', 7, 'fenced', 'app')`,
    `delete from tenancy.fence where tenant_id = 'TENANT'`,
    { kind: 'books', what: '1 in tenancy.fence', tenant: 'TENANT' },
  ],
  [
    'notes of changes',
    'innkeeper_schemas',
    `insert into tenancy.notes (tenant_id, table_name, key) values ('TENANT', 'tags', '{"id": 1}')`,
    `delete from tenancy.notes where tenant_id = 'TENANT'`,
    { kind: 'books', what: '1 in tenancy.notes', tenant: 'TENANT' },
  ],
  [
    'a schema that was left',
    'innkeeper_schemas',
    'create schema r_0123456789abcdef0123',
    'drop schema r_0123456789abcdef0123',
    { kind: 'schema', what: 'schema r_0123456789abcdef0123, 0 tables and indexes', tenant: null },
  ],
  [
    'a copy that somebody made by hand, without an index',
    'innkeeper_shared',
    `create schema backup; create table backup.tags as select '0000'::text as x, 'TENANT'::uuid as tenant_id from generate_series(1, 3)`,
    'drop schema backup cascade',
    { kind: 'rows', what: '3 rows in backup.tags', tenant: 'TENANT' },
  ],
  [
    'a database that was left',
    'postgres',
    'create database innkeeper_d_0123456789abcdef0123',
    'drop database innkeeper_d_0123456789abcdef0123 with (force)',
    { kind: 'database', what: 'database innkeeper_d_0123456789abcdef0123' },
  ],
  [
    'a role that may read a room',
    'innkeeper_shared',
    'create role peeping login; grant usage on schema app to peeping; grant select on app.tags to peeping',
    'drop owned by peeping; drop role peeping',
    { kind: 'role', what: expect.stringMatching(/^peeping may use 2 things/) },
  ],
  [
    'a role that can become the owner',
    'postgres',
    'create role heir login; grant innkeeper_owner to heir',
    'drop role heir',
    { kind: 'role', database: null, what: 'heir is a member of innkeeper_owner' },
  ],
]

test.each(SEEDS)('%s is found', async (_what, database, seed, undo, finds) => {
  const own = (text: string) => text.replaceAll('TENANT', umbrella)
  const wanted = JSON.parse(own(JSON.stringify(finds))) as Record<string, unknown>
  // A matcher is no JSON.
  for (const [name, value] of Object.entries(finds)) if (typeof value === 'object') wanted[name] = value
  await on('us', database, async (sql) => sql.unsafe(own(seed)))
  try {
    const { foreign } = await system.control.scanResidency()
    expect(foreign).toContainEqual(expect.objectContaining({ region: 'us', cluster: 'us-1', ...wanted }))
    expect(foreign.every((f) => f.region === 'us')).toBe(true)
    const check = (await diagnose()).checks.find((c) => c.name === 'us-1 residency')!
    expect(check.status).toBe('fail')
  } finally {
    await on('us', database, async (sql) => sql.unsafe(own(undo)))
  }
  expect((await system.control.scanResidency()).foreign).toEqual([])
})

test('a whole database that was restored beside the others is found, with whose rows are in it', async () => {
  await on('us', 'postgres', (sql) => sql.unsafe('create database restored'))
  await on('us', 'restored', (sql) =>
    sql.unsafe(
      `create schema app; create table app.tags (tenant_id uuid, name text); ${TAG.replace('TENANT', umbrella)}`,
    ),
  )
  const { foreign } = await system.control.scanResidency()
  expect(foreign).toContainEqual(expect.objectContaining({ kind: 'database', what: 'database restored' }))
  expect(foreign).toContainEqual(expect.objectContaining({ kind: 'rows', database: 'restored', tenant: umbrella }))
  await on('us', 'postgres', (sql) => sql.unsafe('drop database restored with (force)'))
})

test('an API key in a region where its tenant is not at home is found', async () => {
  const { key } = await system.control
    .keysOf('us')
    .create(umbrella as never, { name: 'stray', scopes: ['read'], expiresAt: null })
  const { foreign } = await system.control.scanResidency()
  expect(foreign).toMatchObject([{ kind: 'keys', region: 'us', tenant: umbrella, what: '1 API keys' }])
  const env = { INNKEEPER_ADMIN_URL: await admin.listen(), INNKEEPER_ADMIN_TOKEN: admin.token }
  const doctor = await runCli(['doctor', '--residency'], { env })
  expect(doctor).toMatchObject({
    code: 1,
    out: expect.stringMatching(/fail +us keys' residency +not known.*1 API keys/),
  })
  await system.control.keysOf('us').revoke(umbrella as never, key.id)
})

test('tables whose rows are hidden from the scan are said to be so, not passed over', async () => {
  await on('us', 'innkeeper_shared', async (sql) => {
    await sql.unsafe('create role plain login')
    await sql.unsafe(
      'grant usage on schema app, tenancy to plain; grant select on all tables in schema app, tenancy to plain',
    )
    const { scanDatabase } = await import('../../tiers/residency/scan/database.ts')
    const known = [
      { tenant: umbrella as never, region: 'us', cluster: 'us-1', database: 'innkeeper_shared', schema: 'app' },
    ]
    const { found } = await sql.begin(async (tx) => {
      await tx.unsafe('set local role plain')
      return scanDatabase(tx as unknown as postgres.Sql, known, [], [])
    })
    expect(found).toContainEqual({ kind: 'unread', what: 'app.tags', tenant: null })
    await sql.unsafe('drop owned by plain; drop role plain')
  })
})
