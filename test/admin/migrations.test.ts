import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openControlPlane } from '../../tiers/control/control-plane.ts'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { temporaryFolder } from '../support/temporary.ts'

let system: TestSystem
let admin: TestAdmin
let folder: string
beforeAll(async () => {
  system = await startTestSystem()
  folder = await temporaryFolder('migrations')
  await cp(system.migrationsFolder, folder, { recursive: true })
  const control = openControlPlane({ config: system.config, migrationsFolder: folder })
  const close = system.close
  system = { ...system, control, close: () => control.close().then(close) }
  admin = await startTestAdmin(system)
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
  await rm(folder, { recursive: true, force: true })
})

const PATH = '/admin/v1/migrations'
const ROOMS = 3
const write = (name: string, sql: string) => writeFile(join(folder, name), sql)

test('a migration reaches every room, and is not applied twice', async () => {
  await write('0002_note.sql', 'alter table "{room}".tags add column note text;')
  expect((await admin.call('POST', PATH, { reason: 'notes' })).body).toEqual({
    ok: true,
    rooms: ROOMS,
    migrated: ROOMS,
    failures: [],
  })
  expect((await admin.call('POST', PATH)).body).toEqual({ ok: true, rooms: ROOMS, migrated: 0, failures: [] })
})

test('progress comes line by line, or as events, to whoever accepts it', async () => {
  const lines = await admin.call('POST', PATH, undefined, { accept: 'application/x-ndjson' })
  const objects = (lines.body as string)
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l))
  expect(objects.map((o) => o.type)).toEqual(['progress', 'progress', 'progress', 'result'])
  expect(objects[2]).toMatchObject({ done: ROOMS, total: ROOMS, failed: 0 })
  expect(objects[3]).toMatchObject({ ok: true, rooms: ROOMS })
  const events = await admin.call('POST', PATH, undefined, { accept: 'text/event-stream' })
  expect(events.headers.get('content-type')).toContain('text/event-stream')
  expect((events.body as string).match(/^event: \w+/gm)).toEqual([
    'event: progress',
    'event: progress',
    'event: progress',
    'event: result',
  ])
})

test('one run at a time', async () => {
  const answers = await Promise.all([admin.call('POST', PATH), admin.call('POST', PATH)])
  expect(answers.map((a) => a.status).sort()).toEqual([200, 409])
  expect((await admin.call('POST', PATH)).status).toBe(200)
})

test('a migration that would leave a hole is refused by name, with the fix', async () => {
  await write('0003_hole.sql', 'create table "{room}".hole (id int primary key);')
  const { status, body } = await admin.call('POST', PATH)
  expect(status).toBe(422)
  expect(body).toMatchObject({ code: 'migration_refused', result: { ok: false, rooms: ROOMS, migrated: 0 } })
  expect(body.result.failures).toHaveLength(ROOMS)
  expect(body.result.failures[0]).toMatchObject({ cluster: 'us-1', code: 'migration_refused' })
  expect(body.result.failures[0].details).toContain('hole')
  expect(body.result.failures[0].hint).toContain('tenantTable')
  // New tenants are made by those that were applied.
  await system.control.createTenant({ slug: 'later', tier: 'pro', region: 'us' })
  await rm(join(folder, '0003_hole.sql'))
})

test('a tenant that is being made while a migration runs has it too', async () => {
  const { control } = system
  const sql = postgres(system.servers.get('us')!.server.url('innkeeper_schemas'), { max: 1 })
  const begun = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  // Both look into this table first: the one knows its files by then, the other its rooms.
  const held = sql.begin(async (tx) => {
    await tx`lock table tenancy.migrations`
    begun.resolve()
    await go.promise
  })
  await begun.promise
  const waiting = async () => {
    const postgres = control.makerOf('us-1').admin('postgres')
    return (await postgres`select from pg_locks where mode = 'AccessShareLock' and not granted`).length
  }
  const making = control.createTenant({ slug: 'newcomer', tier: 'pro', region: 'us' })
  await expect.poll(waiting).toBe(1)
  await write('0009_newest.sql', 'alter table "{room}".tags add column newest text;')
  const migrating = control.migrate()
  await expect.poll(waiting).toBeGreaterThan(1)
  go.resolve()
  await held
  const { placement } = await making
  await migrating
  expect(
    await sql`select from tenancy.migrations where room = ${placement!.schema} and name = '0009_newest.sql'`,
  ).toHaveLength(1)
  await sql.end()
})

test('what most rooms have is asked of new tenants also by a control plane that could not bring it to the last of them', async () => {
  const other = openControlPlane({ config: system.config, migrationsFolder: folder })
  const sql = postgres(system.servers.get('us')!.server.url('innkeeper_schemas'), { max: 1 })
  // It knows the files of now.
  const { placement } = await other.createTenant({ slug: 'lagging', tier: 'pro', region: 'us' })
  await write('0010_last.sql', 'alter table "{room}".tags add column last text;')
  await system.control.migrate()
  const record = [placement!.schema, '0010_last.sql']
  await sql`delete from tenancy.migrations where (room, name) = (${record[0]!}, ${record[1]!})`
  expect(await other.migrate()).toMatchObject({ migrated: 0, failures: [{ schema: record[0] }] })
  const made = await other.createTenant({ slug: 'after-lagging', tier: 'pro', region: 'us' })
  expect(
    await sql`select from tenancy.migrations where room = ${made.placement!.schema} and name = '0010_last.sql'`,
  ).toHaveLength(1)
  await sql.end()
  await other.close()
})
