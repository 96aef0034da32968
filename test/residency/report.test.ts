import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { residencyText } from '../../gateway/cli/residency-text.ts'
import { processTerminal } from '../../gateway/cli/terminal.ts'
import { verify } from '../../tiers/control/signed-document.ts'
import type { ResidencyReport, SignedReport } from '../../tiers/residency/report/document.ts'
import { QUICK } from '../move/support/two-clusters.ts'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { runCli } from '../support/cli.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { reconfigured } from './support.ts'

let system: TestSystem
let admin: TestAdmin
let env: Record<string, string>
let folder: string
beforeAll(async () => {
  const tenants = [{ slug: 'acme', tier: 'free', region: 'us' }] as const
  system = await startTestSystem({ regions: ['us', 'eu'], tenants, moveSettings: QUICK })
  system.control.moves.run()
  admin = await startTestAdmin(system)
  env = { INNKEEPER_ADMIN_URL: await admin.listen(), INNKEEPER_ADMIN_TOKEN: admin.token }
  folder = await temporaryFolder('residency')
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

const signedReport = async (slug = 'acme') =>
  (await admin.call('GET', `/admin/v1/tenants/${slug}/residency`)).body as SignedReport
const report = async (slug?: string) => (await signedReport(slug)).document
const stays = ({ rooms }: ResidencyReport) =>
  rooms.map((r) => `${r.region} ${r.isolation} ${r.as} ${r.until === null ? 'now' : 'past'}`)

test('a tenant that has never moved is in one room, with its tables, keys and caches named', async () => {
  const found = await report()
  expect(stays(found)).toEqual(['us shared home now'])
  expect(found.tables).toEqual(expect.arrayContaining(['customers', 'tickets']))
  expect(found.keys).toMatchObject([
    { region: 'us', where: 'us-1/innkeeper_region', what: '1 API keys as hashes, 1 of them good' },
    { region: 'us', what: expect.stringContaining('key ring of us') },
  ])
  expect(found.caches.filter((c) => c.region === 'eu').every((c) => c.holds.startsWith('routing facts'))).toBe(true)
  expect(found.scan).toMatchObject({ found: [], unclaimed: [], unread: [] })
  expect(found.scan.looked.every((l) => l.tables > 0)).toBe(true)
  expect(found).toMatchObject({ keptTo: { regions: null }, outside: [], backups: [], gateways: [], moves: [] })
  expect(found.changes).toMatchObject([{ actor: 'program', after: { region: 'us' } }])
})

test('every room that a move filled, left and emptied is in it, and what is outside of the profile', async () => {
  const { control } = system
  const move = await control.moves.start({ tenant: 'acme', tier: 'pro', region: 'eu', by: 'test' })
  await control.moves.reached(move.id, 'watching')
  expect(stays(await report()).sort()).toEqual(
    ['eu schema copy past', 'eu schema home now', 'us shared home past', 'us shared left now'].sort(),
  )
  await control.moves.rollback(move.id)
  await control.moves.reached(move.id, 'rolled_back')
  expect(stays(await report()).sort()).toEqual(
    [
      'eu schema copy past',
      'eu schema home past',
      'eu schema left past',
      'us shared home now',
      'us shared home past',
      'us shared left past',
    ].sort(),
  )
  const again = await control.moves.start({ tenant: 'acme', tier: 'pro', region: 'eu', by: 'test' })
  await control.moves.reached(again.id, 'watching')
  await control.moves.complete(again.id)
  await control.moves.reached(again.id, 'completed')
  await control.setResidency(
    'acme',
    { profile: 'gdpr' },
    { actor: 'maria', role: 'compliance', reason: 'contract', requestId: null },
  )
  const found = await report()
  expect(found.rooms.filter((r) => r.until === null)).toMatchObject([{ region: 'eu', as: 'home', known: 'history' }])
  // An unbroken line of homes from the beginning until now.
  const homes = found.rooms.filter((r) => r.as === 'home')
  for (const [n, home] of homes.slice(1).entries()) expect(homes[n]!.until).toBe(home.from)
  expect(found.keptTo).toMatchObject({ profile: 'gdpr', regions: ['eu'], transit: false, retentionDays: 90 })
  expect(found.keptTo.since).not.toBeNull()
  expect(found.changes.at(-1)).toMatchObject({ actor: 'maria', role: 'compliance', reason: 'contract' })
  // It was in us before it was kept to eu; nothing of it is there now.
  expect(found.outside.length).toBeGreaterThan(0)
  expect(found.outside.every((o) => o.region === 'us' && o.until !== null)).toBe(true)
  expect(found.moves.map((m) => m.state)).toEqual(['rolled_back', 'completed'])
})

test('a backup that is kept where the tenant may not be is outside of what it is kept to', async () => {
  const backed = await reconfigured(system, (input) => {
    const eu = input.regions.eu!
    const backups = ['eu', 'us'].map((region) => ({ region, retentionDays: 30 }))
    const clusters = { 'eu-1': { ...eu.clusters['eu-1']!, backups } }
    return { ...input, regions: { ...input.regions, eu: { ...eu, clusters } } }
  })
  const { document } = await backed.residencyReport('acme')
  await backed.close()
  expect(document.outside).toContainEqual({ what: 'backups of eu-1', region: 'us', from: null, until: null })
  expect(document.outside).not.toContainEqual(expect.objectContaining({ what: 'backups of eu-1', region: 'eu' }))
})

test('gateways that served it, and those that its requests passed through, are in it', async () => {
  const sql = postgres(system.env.INNKEEPER_DIRECTORY_URL!, { max: 1 })
  const { openAttendance } = await import('../../tiers/residency/attendance.ts')
  const open = (region: string) =>
    openAttendance({ server: { url: system.env.INNKEEPER_DIRECTORY_URL! }, region, version: '1' })
  const [eu, us] = [open('eu'), open('us')]
  const { id } = await system.control.tenant('acme')
  for (let n = 0; n < 3; n++) eu.served(id, 'home')
  us.served(id, 'forwarded')
  await Promise.all([eu.close(), us.close()])
  const found = await report()
  expect(found.gateways.map(({ region, how, gateway }) => ({ region, how, gateway }))).toEqual(
    expect.arrayContaining([
      { region: 'eu', how: 'home', gateway: eu.id },
      { region: 'us', how: 'forwarded', gateway: us.id },
    ]),
  )
  expect(found.outside).toContainEqual(
    expect.objectContaining({ region: 'us', what: expect.stringContaining(`forwarded by gateway ${us.id}`) }),
  )
  // A gateway's role writes by these functions alone, and reads nothing of it.
  for (const attempt of [
    sql`select * from gateway_tenants`,
    sql`update gateways set region = 'eu'`,
    sql`select * from audit_log`,
  ]) {
    await expect(attempt).rejects.toMatchObject({ code: '42501' })
  }
  // A region that was named once stays.
  await sql`select gateway_seen(${us.id}, 'eu', 'x', '1', false)`
  expect((await report()).gateways.find((g) => g.gateway === us.id)).toMatchObject({ region: 'us' })
  await sql.end()
})

test('a row of its own in another region is found when the report is made', async () => {
  const { id } = await system.control.tenant('acme')
  const us = postgres(system.servers.get('us')!.server.url('innkeeper_shared'), { max: 1 })
  await us`insert into app.tags (tenant_id, name) values (${id}, 'stray')`
  expect((await report()).scan.found).toMatchObject([
    { region: 'us', kind: 'rows', what: '1 rows in app.tags', tenant: id },
  ])
  await us`delete from app.tags where tenant_id = ${id}`
  await us.end()
})

test('what the directory knows of no tenant is not said to be this one’s, and what was not looked at is said to be so', async () => {
  const us = postgres(system.servers.get('us')!.server.url('innkeeper_shared'), { max: 1 })
  await us.unsafe('create schema r_0123456789abcdef0123; create role maria; grant select on app.tags to maria')
  const { document } = await signedReport()
  await us.unsafe('drop schema r_0123456789abcdef0123; drop owned by maria; drop role maria')
  await us.end()
  expect(document.scan).toMatchObject({ found: [], unread: [] })
  expect(document.scan.unclaimed.map((f) => f.kind).toSorted()).toEqual(['role', 'schema'])
  const [first] = document.scan.unclaimed
  const unread = [{ ...first!, kind: 'unread' as const, what: 'app.notes' }]
  const text = residencyText(processTerminal({ json: false, debug: false, noColor: true }), {
    ...document,
    scan: { ...document.scan, unread },
  })
  for (const words of [
    'maria may use app.tags; it is no role of Innkeeper',
    '0 tables and indexes; the directory knows of no tenant in it',
    'app.notes hides its rows: not looked at',
  ]) {
    expect(text).toContain(words)
  }
})

test('a report is read by a person, checked offline, and any change of it is found', async () => {
  const file = join(folder, 'acme.json')
  const made = await runCli(['residency', 'report', 'acme', '--out', file], { env })
  expect(made.code).toBe(0)
  for (const words of [
    'kept to',
    'eu only; profile gdpr',
    'Where its rows are and were',
    'Gateways that served it',
    'signed by',
  ]) {
    expect(made.out).toContain(words)
  }
  // Nobody is asked: neither address nor token.
  const offline = (...args: string[]) => runCli(['residency', 'verify', file, ...args])
  const good = await offline()
  expect(good).toMatchObject({ code: 0, out: expect.stringContaining('valid: signed by') })
  const signed = JSON.parse(await readFile(file, 'utf8')) as SignedReport & { document: ResidencyReport }
  expect(verify(signed as never)).toBe(true)
  expect((await offline('--key', signed.keyId!)).code).toBe(0)
  expect(await offline('--key', 'another')).toMatchObject({ code: 1, err: expect.stringContaining('another key') })
  const tampered: [string, object][] = [
    ['a room moved', { ...signed.document, rooms: signed.document.rooms.map((r) => ({ ...r, region: 'eu' })) }],
    ['what is outside left out', { ...signed.document, outside: [] }],
    ['a date changed', { ...signed.document, issuedAt: new Date().toISOString() }],
  ]
  for (const [what, document] of tampered) {
    await writeFile(file, JSON.stringify({ ...signed, document }))
    expect(await offline('--json'), what).toMatchObject({
      code: 1,
      out: expect.stringContaining('not what was signed'),
    })
  }
  await writeFile(file, JSON.stringify({ ...signed, signature: null }))
  expect((await offline()).code).toBe(1)
  await writeFile(file, '{}')
  expect((await offline()).code).toBe(1)
})

test('who asked for a report is written down, and the audit log is anchored by it', async () => {
  const { document } = await signedReport()
  const [last] = await system.control.audit.list({ action: 'residency.report', limit: 1 })
  expect(last).toMatchObject({ actor: 'admin', tenant: 'acme' })
  const [seq, hash] = document.auditHead.split(':')
  expect((await system.control.audit.verify({ seq: Number(seq), hash: hash! })).faults).toEqual([])
})
