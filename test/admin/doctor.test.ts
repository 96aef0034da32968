import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Check } from '../../gateway/admin/doctor/check.ts'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let admin: TestAdmin
beforeAll(async () => {
  system = await startTestSystem()
  admin = await startTestAdmin(system)
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

const diagnose = async () => (await admin.call('GET', '/admin/v1/doctor')).body as { status: string; checks: Check[] }
const failing = async () => (await diagnose()).checks.filter((c) => c.status !== 'ok')
const placement = async (slug: string) => (await system.control.tenant(slug)).placement!

test('a sound system has nothing to complain of', async () => {
  const { status, checks } = await diagnose()
  expect(checks.filter((c) => c.status !== 'ok')).toEqual([])
  expect(status).toBe('ok')
  for (const looked of [
    'control database',
    'us-1 roles',
    'us-1 clock',
    'us-1 moves',
    'us-1 fence',
    'us-1 hardening',
    'us key store',
  ]) {
    expect(checks.map((c) => c.name)).toContain(looked)
  }
})

const capturing = (table: string) =>
  ['insert', 'update', 'delete']
    .map((e) => `alter table ${table} enable always trigger innkeeper_capture_${e}`)
    .join('; ')

/** Each: what is broken and how it is undone, where, and what the doctor has to say. */
const BREAKAGES: readonly (readonly [
  what: string,
  slug: string,
  breaks: string,
  mends: string,
  finds: string,
  says: RegExp,
])[] = [
  [
    'a table without its policy',
    'acme',
    'alter policy innkeeper_tenant on app.tags rename to x',
    'alter policy x on app.tags rename to innkeeper_tenant',
    'us-1 tables',
    /app\.tags .*policy is missing/,
  ],
  [
    'a policy that lets all through',
    'acme',
    'alter policy innkeeper_tenant on app.tags using (true)',
    'alter policy innkeeper_tenant on app.tags using (tenant_id = (select tenancy.tenant_id()))',
    'us-1 tables',
    /app\.tags .*changed/,
  ],
  [
    'row-level security that is not forced',
    'initech',
    'alter table app.tags no force row level security',
    'alter table app.tags force row level security',
    'us-1 tables',
    /app\.tags row-level security is not forced/,
  ],
  [
    'row-level security that is off',
    'hooli',
    'alter table {room}.tags disable row level security',
    'alter table {room}.tags enable row level security',
    'us-1 tables',
    /tags row-level security is off/,
  ],
  [
    'a second permissive policy',
    'acme',
    'create policy open on app.tags using (true)',
    'drop policy open on app.tags',
    'us-1 tables',
    /second permissive/,
  ],
  [
    'a table that no move could bring',
    'acme',
    'alter table app.tags add turns aclitem[]',
    'alter table app.tags drop turns',
    'us-1 movable',
    /app\.tags\.turns is of type aclitem\[\], which has no binary form/,
  ],
  [
    'ids that a move could not go on with',
    'hooli',
    'alter table {room}.tags alter id set cycle',
    'alter table {room}.tags alter id set no cycle',
    'us-1 movable',
    /tags_id_seq counts in a cycle/,
  ],
  [
    'a role that bypasses row-level security',
    'acme',
    'alter role innkeeper_app bypassrls',
    'alter role innkeeper_app nobypassrls',
    'us-1 roles',
    /innkeeper_app has BYPASSRLS/,
  ],
  [
    'a role that is a member of the owners',
    'acme',
    'grant innkeeper_owner to innkeeper_app',
    'revoke innkeeper_owner from innkeeper_app',
    'us-1 roles',
    /innkeeper_app is a member of innkeeper_owner/,
  ],
  [
    'an owner that can log in',
    'acme',
    'alter role innkeeper_tenancy login',
    'alter role innkeeper_tenancy nologin',
    'us-1 roles',
    /innkeeper_tenancy can log in/,
  ],
  [
    'a mover that bypasses row-level security',
    'acme',
    'alter role innkeeper_mover bypassrls',
    'alter role innkeeper_mover nobypassrls',
    'us-1 roles',
    /innkeeper_mover has BYPASSRLS/,
  ],
  [
    'keys that the gateways’ role may read',
    'hooli',
    'grant select (inner_pad) on tenancy.ticket_keys to innkeeper_app',
    'revoke select (inner_pad) on tenancy.ticket_keys from innkeeper_app',
    'us-1 tables',
    /tenancy\.ticket_keys is open/,
  ],
  [
    'a table that may be emptied past its policy',
    'hooli',
    'grant all on {room}.tags to innkeeper_app',
    'revoke truncate, references, trigger on {room}.tags from innkeeper_app',
    'us-1 tables',
    /tags may be emptied/,
  ],
  [
    'a view that sees what its owner sees',
    'acme',
    'create view app.leak as select * from app.tags; grant select on app.leak to innkeeper_app',
    'drop view app.leak',
    'us-1 tables',
    /app\.leak is a view/,
  ],
  [
    'a function with the rights of its owner',
    'initech',
    `create function app.leak() returns bigint language sql security definer as 'select count(*) from app.tags'`,
    'drop function app.leak()',
    'us-1 tables',
    /app\.leak is a function/,
  ],
  [
    'a schema in which tenants may create',
    'acme',
    'grant create on schema app to public',
    'revoke create on schema app from public',
    'us-1 tables',
    /app is a schema in which/,
  ],
  [
    'foreign keys that are not looked at',
    'initech',
    `alter table app.comments disable trigger all; ${capturing('app.comments')}`,
    `alter table app.comments enable trigger all; ${capturing('app.comments')}`,
    'us-1 triggers',
    /app\.comments has a constraint that is not looked at: comments_agent_id_fkey/,
  ],
  [
    'a trigger of the application’s that is disabled',
    'acme',
    `create trigger mine before update on app.tags for each row when (not tenancy.applying())
       execute function suppress_redundant_updates_trigger(); alter table app.tags disable trigger mine`,
    'drop trigger mine on app.tags',
    'us-1 triggers',
    /app\.tags has a trigger that does not fire: mine/,
  ],
  [
    'a database that is open to everyone',
    'hooli',
    'grant connect on database innkeeper_schemas to public',
    'revoke connect on database innkeeper_schemas from public',
    'us-1 grants',
    /PUBLIC has CONNECT on the database/,
  ],
  [
    'a schema in which everyone may create',
    'initech',
    'grant create on schema public to public',
    'revoke create on schema public from public',
    'us-1 grants',
    /PUBLIC has CREATE on schema public/,
  ],
  [
    'tables to come that everyone may read',
    'acme',
    'alter default privileges for role innkeeper_owner in schema app grant select on tables to public',
    'alter default privileges for role innkeeper_owner in schema app revoke select on tables from public',
    'us-1 grants',
    /PUBLIC gets SELECT on tables that innkeeper_owner makes in schema app/,
  ],
  [
    'Innkeeper’s own tables to come that everyone may write',
    'hooli',
    'alter default privileges for role innkeeper_tenancy grant insert on tables to public',
    'alter default privileges for role innkeeper_tenancy revoke insert on tables from public',
    'us-1 grants',
    /PUBLIC gets INSERT on tables that innkeeper_tenancy makes/,
  ],
  [
    'a setting of the gateways’ role that was changed',
    'acme',
    `alter role innkeeper_app set search_path = public`,
    'alter role innkeeper_app set search_path = app, pg_temp',
    'us-1 settings',
    /search_path is public/,
  ],
  [
    'a setting of the gateways’ role that is gone',
    'acme',
    'alter role innkeeper_app reset timezone',
    `alter role innkeeper_app set timezone = 'UTC'`,
    'us-1 settings',
    /timezone is not set/,
  ],
  [
    'a setting of the gateways’ role in one database',
    'initech',
    'alter role innkeeper_app in database innkeeper_schemas set lock_timeout = 0',
    'alter role innkeeper_app in database innkeeper_schemas reset lock_timeout',
    'us-1 settings',
    /lock_timeout is 0 in innkeeper_schemas/,
  ],
  [
    'a setting that Innkeeper does not make, and that changes what statements do',
    'acme',
    'alter role innkeeper_app set default_transaction_read_only = on; alter role innkeeper_app set row_security = off',
    'alter role innkeeper_app reset default_transaction_read_only; alter role innkeeper_app reset row_security',
    'us-1 settings',
    /default_transaction_read_only is on, row_security is off/,
  ],
  [
    'a fence of another epoch',
    'hooli',
    'update tenancy.fence set epoch = epoch - 1',
    'update tenancy.fence set epoch = epoch + 1',
    'us-1 fence',
    /hooli is at epoch \d+, and at \d+ in the directory/,
  ],
  [
    'a control database that was restored from a backup',
    'hooli',
    'update tenancy.epoch_mark set epoch = epoch + 1000',
    'update tenancy.epoch_mark set epoch = epoch - 1000',
    'us-1 epochs',
    /has heard of epoch \d+, and the control database has given out \d+/,
  ],
  [
    'a missing fence',
    'initech',
    'update tenancy.fence set tenant_id = gen_random_uuid()',
    "update tenancy.fence set tenant_id = '{id}'",
    'us-1 fence',
    /initech has no fence/,
  ],
  [
    'a migration that is not applied',
    'hooli',
    "update tenancy.migrations set name = 'x'",
    "update tenancy.migrations set name = '0001_help_desk.sql'",
    'us-1 migrations',
    /lacks 0001_help_desk\.sql/,
  ],
  [
    'a migration file that was changed',
    'acme',
    "update tenancy.migrations set checksum = 'x' || checksum",
    'update tenancy.migrations set checksum = substr(checksum, 2)',
    'us-1 migrations',
    /was changed after/,
  ],
  [
    'a ticket key that is not ours',
    'acme',
    "update tenancy.ticket_keys set kid = 'x' || kid",
    'update tenancy.ticket_keys set kid = substr(kid, 2)',
    'us-1 ticket keys',
    /not installed.*not in the configuration/,
  ],
  [
    'a function that tenants should not have',
    'initech',
    'grant execute on function pg_notify(text, text) to public',
    'revoke execute on function pg_notify(text, text) from public',
    'us-1 hardening',
    /pg_notify/,
  ],
  [
    'a file of Innkeeper’s own that is not applied',
    'acme',
    "update tenancy.versions set name = 'x' where name like '0001%'",
    "update tenancy.versions set name = '0001_rooms.sql' where name = 'x'",
    'us-1 tenancy version',
    /0001_rooms\.sql/,
  ],
]

test('a room is found whose capture triggers do not always fire, whichever of many it is', async () => {
  const { id, placement } = await system.control.createTenant({ slug: 'vandelay', tier: 'pro', region: 'us' })
  const sql = system.control.makerOf('us-1').admin(placement!.database)
  for (const state of ['disable', 'enable', 'enable replica']) {
    await sql.unsafe(`alter table "${placement!.schema}".tags ${state} trigger innkeeper_capture_delete`)
    expect(await failing()).toMatchObject([
      { name: 'us-1 movable', message: expect.stringMatching(/tags has no capture triggers that always fire$/) },
    ])
  }
  await system.control.offboard(id)
  expect(await failing()).toEqual([])
})

test('a setting of the gateways’ role that only costs or gains time is its operator’s', async () => {
  const sql = system.control.makerOf('us-1').admin('postgres')
  await sql.unsafe(`alter role innkeeper_app set work_mem = '64MB'; alter role innkeeper_app set log_statement = 'ddl'`)
  expect(await failing()).toEqual([])
  await sql.unsafe('alter role innkeeper_app reset work_mem; alter role innkeeper_app reset log_statement')
})

for (const [what, slug, breaks, mends, finds, says] of BREAKAGES) {
  test(`the doctor finds ${what}`, async () => {
    const { database, schema, cluster } = await placement(slug)
    const { id } = await system.control.tenant(slug)
    const sql = system.control.makerOf(cluster).admin(database)
    const run = (text: string) => sql.unsafe(text.replaceAll('{room}', schema).replaceAll('{id}', id))
    await run(breaks)
    try {
      const found = await failing()
      expect(found.map((c) => c.name)).toEqual([finds])
      expect(found[0]!.message).toMatch(says)
      expect(found[0]!.fix).toBeTruthy()
    } finally {
      await run(mends)
    }
    expect(await failing()).toEqual([])
  })
}

test('an admin role that does not see the gateways’ statements is told what it needs', async () => {
  const managed = await startTestSystem({
    tenants: [{ slug: 'acme', tier: 'free', region: 'us' }],
    adminRole: 'managed',
  })
  const watcher = await startTestAdmin(managed)
  const superuser = postgres(managed.servers.get('us')!.server.url('postgres'), { max: 1 })
  const found = async () => {
    const { checks } = (await watcher.call('GET', '/admin/v1/doctor')).body as { checks: Check[] }
    for (const name of ['us-1 grants', 'us-1 settings', 'us-1 triggers'])
      expect(checks.find((c) => c.name === name)).toMatchObject({ status: 'ok' })
    return checks.find((c) => c.name === 'us-1 moves')!
  }
  try {
    const before = await found()
    expect(before).toMatchObject({ status: 'ok', message: expect.stringContaining('needs no superuser') })
    // Whoever made the gateways' role is its member, and sees its sessions.
    await superuser`revoke innkeeper_app from managed_admin granted by managed_admin`
    const { status, fix } = await found()
    expect(status).toBe('warn')
    // What it says to do is enough.
    await superuser.unsafe(fix!.replace(', as a superuser.', ''))
    expect(await found()).toMatchObject({ status: 'ok', fix: null })
  } finally {
    await superuser.end()
    await watcher.close()
    await managed.close()
  }
})

test('a server that is gone is the finding, not a failure of the doctor', async () => {
  const other = await startTestSystem({ regions: ['us', 'eu'], tenants: [] })
  const watcher = await startTestAdmin(other)
  try {
    await other.servers.get('eu')!.server.stop()
    const { status, body } = await watcher.call('GET', '/admin/v1/doctor')
    expect(status).toBe(200)
    const failed = body.checks.filter((c: Check) => c.status === 'fail').map((c: Check) => c.name)
    expect(failed).toEqual(['eu-1 server', 'eu key store'])
  } finally {
    await watcher.close()
    await other.close()
  }
})
