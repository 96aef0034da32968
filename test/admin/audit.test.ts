import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { runCli } from '../support/cli.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'

let system: TestSystem
let admin: TestAdmin
let sql: postgres.Sql
let env: Record<string, string>
beforeAll(async () => {
  system = await startTestSystem({
    configure: (input) => ({
      ...input,
      control: { ...input.control, region: 'us' },
      residency: { profiles: { watched: { regions: ['us'], audit: 'access' }, plain: { regions: ['us'] } } },
      tiers: { ...input.tiers, starter: { isolation: 'shared' } },
    }),
    moveSettings: { quarantineMs: 300, deadlineMs: 3_000, drainMs: 1_000 },
  })
  admin = await startTestAdmin(system)
  sql = postgres(system.env.INNKEEPER_CONTROL_URL!, { max: 2 })
  env = { INNKEEPER_ADMIN_URL: await admin.listen(), INNKEEPER_ADMIN_TOKEN: admin.token }
})
afterAll(async () => {
  await sql?.end()
  await admin?.close()
  await system?.close()
})

const TENANTS = '/admin/v1/tenants'
const AUDIT = '/admin/v1/audit'
const call: TestAdmin['call'] = (...args) => admin.call(...args)
const head = async () => (await call('GET', `${AUDIT}/proof`)).body.head as string
/** What was written since, the oldest first. */
const since = async (before: string) => {
  const { entries } = (await call('GET', `${AUDIT}?limit=500`)).body
  return entries.filter((e: { seq: number }) => e.seq > Number(before.split(':')[0])).reverse()
}

test('every change of the admin API is written down: who, what, before, after, and why', async () => {
  const before = await head()
  const because = { reason: 'because' }
  const slug = 'wayne'
  await call('POST', TENANTS, { slug, region: 'us', tier: 'free', domains: ['w.example'], ...because })
  await call('PATCH', `${TENANTS}/${slug}`, { tier: 'starter', away: 'reject', status: 'suspended', ...because })
  await call('PATCH', `${TENANTS}/${slug}`, { status: 'active', ...because })
  await call('PATCH', `${TENANTS}/${slug}/residency`, { profile: 'plain', ...because })
  await call('DELETE', `${TENANTS}/${slug}/domains/w.example`, because)
  const { id: key } = (await call('POST', `${TENANTS}/${slug}/keys`, { name: 'k', ...because })).body
  await call('DELETE', `${TENANTS}/${slug}/keys/${key}`, because)
  await call('POST', `${TENANTS}/${slug}/sql`, { sql: "select 'secret-canary'", ...because })
  const { id: move } = (await call('POST', `${TENANTS}/${slug}/moves`, { tier: 'pro', ...because })).body
  await call('POST', `/admin/v1/moves/${move}/abort`, because)
  system.control.moves.run()
  await system.control.moves.reached(move, 'aborted')
  await call('POST', '/admin/v1/migrations', because)
  await call('DELETE', `${TENANTS}/${slug}`, because)
  // What changes nothing is no change.
  await call('DELETE', `${TENANTS}/${slug}`, because)
  await call('GET', `${TENANTS}/acme`)
  const entries = await since(before)
  expect(entries.map((e: { action: string; outcome: string }) => `${e.action} ${e.outcome}`)).toEqual([
    'tenant.create done',
    'domain.add done',
    'tenant.tier done',
    'tenant.away done',
    'tenant.suspend done',
    'tenant.resume done',
    'tenant.residency done',
    'domain.remove done',
    'key.create begun',
    'key.create done',
    'key.revoke begun',
    'key.revoke done',
    'tenant.sql begun',
    'tenant.move done',
    'move.abort done',
    'migrate begun',
    'migrate done',
    'tenant.offboard done',
  ])
  for (const entry of entries) {
    expect(entry).toMatchObject({ actor: 'admin', role: 'admin', reason: 'because', requestId: expect.any(String) })
    if (entry.action !== 'migrate') expect(entry.tenant).toBe(slug)
  }
  const of = (action: string) => entries.findLast((e: { action: string }) => e.action === action)
  expect(of('tenant.create')).toMatchObject({ before: null, after: { tier: 'free', region: 'us', cluster: 'us-1' } })
  expect(of('tenant.tier')).toMatchObject({ before: { tier: 'free' }, after: { tier: 'starter' } })
  expect(of('tenant.away')).toMatchObject({ before: { away: null }, after: { away: 'reject' } })
  expect(of('tenant.suspend')).toMatchObject({ before: { status: 'active' }, after: { status: 'suspended' } })
  expect(of('tenant.residency')).toMatchObject({ before: { profile: null }, after: { profile: 'plain' } })
  expect(of('key.create')).toMatchObject({ details: { name: 'k' }, after: { id: key } })
  expect(of('tenant.move')).toMatchObject({ before: { tier: 'starter' }, after: { tier: 'pro' }, details: { move } })
  expect(of('tenant.offboard')).toMatchObject({ after: { status: 'offboarded' } })
  expect(JSON.stringify(entries)).not.toContain('secret-canary')
})

test('a change and its entry are one: where the entry cannot be written nothing is changed', async () => {
  await sql`alter table audit_log add constraint shut check (action <> 'tenant.suspend' and action <> 'key.create') not valid`
  try {
    expect((await call('PATCH', `${TENANTS}/acme`, { status: 'suspended' })).status).toBe(500)
    expect((await call('GET', `${TENANTS}/acme`)).body.status).toBe('active')
    const keys = async () => (await call('GET', `${TENANTS}/acme/keys`)).body.keys.length
    const before = await keys()
    expect((await call('POST', `${TENANTS}/acme/keys`, {})).status).toBe(500)
    expect(await keys()).toBe(before)
  } finally {
    await sql`alter table audit_log drop constraint shut`
  }
})

test('whoever looks at a tenant is written down where its profile asks for it', async () => {
  const { tier } = await system.control.tenant('hooli')
  // To where it is: it has ended at once.
  const { id: move } = (await call('POST', `${TENANTS}/hooli/moves`, { tier })).body
  await system.control.setResidency('hooli', { profile: 'watched' })
  const before = await head()
  await call('GET', `${TENANTS}/hooli/keys`)
  await call('GET', `${TENANTS}/acme/keys`)
  expect((await call('POST', `${TENANTS}/hooli/sql`, { sql: 'select 1' })).body.code).toBe('residency_violation')
  expect((await call('POST', `${TENANTS}/hooli/sql`, { sql: 'select 1', reason: 'ticket 7' })).status).toBe(200)
  expect(await since(before)).toMatchObject([
    { action: 'tenant.read', tenant: 'hooli', details: { path: `${TENANTS}/hooli/keys` } },
    { action: 'refused', outcome: 'refused', tenant: 'hooli', details: { code: 'residency_violation' } },
    { action: 'tenant.sql', tenant: 'hooli', reason: 'ticket 7' },
  ])
  // Whatever way leads to it.
  const looks = [
    ['HEAD', `${TENANTS}/hooli`],
    ['POST', `${TENANTS}/hooli/moves`, { tier, dryRun: true }],
    ['GET', '/admin/v1/moves?tenant=hooli'],
    ['GET', `/admin/v1/moves/${move}`],
    ['GET', `/admin/v1/moves/${move}/events`],
    ['GET', `/admin/v1/moves/${move}/certificate`],
    ['GET', `${AUDIT}?tenant=hooli`],
  ] as const
  for (const [method, path, body] of looks) {
    const looked = await head()
    // Not every answer is JSON, and what it says is not the matter here.
    await call(method, path, body).catch(() => null)
    expect(await since(looked), path).toContainEqual(
      expect.objectContaining({ action: 'tenant.read', tenant: 'hooli' }),
    )
  }
})

test('the list goes page by page, by tenant, actor and action', async () => {
  const first = (await call('GET', `${AUDIT}?limit=2&actor=admin`)).body
  expect(first.entries).toHaveLength(2)
  const second = (await call('GET', `${AUDIT}?limit=2&actor=admin&before=${first.next}`)).body
  expect(second.entries[0].seq).toBeLessThan(first.entries[1].seq)
  const moves = (await call('GET', `${AUDIT}?tenant=wayne&action=tenant.move`)).body
  expect(moves).toMatchObject({ entries: [{ action: 'tenant.move', tenant: 'wayne' }], next: null })
  expect((await call('GET', `${AUDIT}?before=x`)).body.field).toBe('before')
  expect((await call('GET', `${AUDIT}/proof?anchor=x`)).body.field).toBe('anchor')
  const listed = await runCli(['audit', 'list', '--tenant', 'wayne'], { env })
  expect(listed.out).toMatch(/admin +admin +tenant\.tier +wayne +done +tier free -> starter +because/)
})

test('the database refuses to change, remove or cut an entry, and numbers them itself', async () => {
  for (const tampering of [
    sql`update audit_log set entry = '{}'`,
    sql`delete from audit_log where seq = 1`,
    sql`truncate audit_log`,
  ]) {
    await expect(tampering).rejects.toMatchObject({ code: 'IK052' })
  }
  const forged = { action: 'forged', actor: 'nobody' }
  await sql`insert into audit_log (seq, at, entry, previous, hash) values (1, '2001-01-01', ${sql.json(forged)}, 'x', 'x')`
  expect((await call('GET', `${AUDIT}/proof`)).body).toMatchObject({ ok: true, faults: [] })
  expect((await call('GET', `${AUDIT}?limit=1`)).body.entries[0].seq).toBeGreaterThan(1)
})

test('entries written at the same time make one chain', async () => {
  const { control } = system
  const by = { actor: 'many', role: 'program', reason: null, requestId: null } as const
  await Promise.all(Array.from({ length: 50 }, (_, n) => control.audit.append({ action: 'many', by, details: { n } })))
  expect(await control.audit.list({ action: 'many', limit: 100 })).toHaveLength(50)
  expect((await control.audit.verify()).faults).toEqual([])
})

test('an entry that was changed, taken out, put in between or cut off is found', async () => {
  const verify = async (...args: string[]) => runCli(['audit', 'verify', '--json', ...args], { env })
  const anchor = await head()
  const whole = await verify('--anchor', anchor)
  expect(whole.code).toBe(0)
  expect(JSON.parse(whole.out)).toMatchObject({ ok: true, faults: [] })
  const last = Number(anchor.split(':')[0])
  const tampered = async (how: string, ...args: string[]) => {
    // As somebody who owns the database could; undone afterwards.
    await sql.unsafe('create table kept as select seq, at, entry, previous, hash from audit_log')
    try {
      await sql.unsafe(`alter table audit_log disable trigger user; ${how}`)
      const { code, out } = await verify(...args)
      return { code, faults: JSON.parse(out).faults }
    } finally {
      await sql.unsafe(`delete from audit_log; insert into audit_log (seq, at, entry, previous, hash) select * from kept;
        alter table audit_log enable trigger user; drop table kept`)
    }
  }
  const changed = `update audit_log set entry = replace(entry::text, '"reason":"because"', '"reason":"no"')::json where seq = `
  const withReason = (await call('GET', `${AUDIT}?tenant=wayne&action=tenant.tier`)).body.entries[0].seq
  expect(await tampered(changed + withReason)).toEqual({
    code: 1,
    faults: [{ seq: withReason, fault: 'is not what was written' }],
  })
  expect(await tampered(`update audit_log set at = at + interval '1 microsecond' where seq = 3`)).toMatchObject({
    faults: [{ seq: 3 }],
  })
  expect(await tampered('delete from audit_log where seq = 5')).toMatchObject({ code: 1, faults: [{ seq: 6 }] })
  // Whoever computes one hash again breaks the next link.
  expect(
    await tampered(`${changed + withReason}; update audit_log set hash = encode(sha256(convert_to(concat_ws(e'\\n', previous, seq,
      to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), entry::text), 'UTF8')), 'hex') where seq = ${withReason}`),
  ).toMatchObject({ code: 1, faults: [{ seq: withReason + 1, fault: 'does not continue the entry before it' }] })
  // The end is missed by the anchor alone.
  expect((await tampered(`delete from audit_log where seq > ${last - 3}`)).code).toBe(0)
  expect(await tampered(`delete from audit_log where seq > ${last - 3}`, '--anchor', anchor)).toMatchObject({ code: 1 })
})
