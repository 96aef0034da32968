import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { moveView } from '../../gateway/admin/moves.ts'
import { verify } from '../../tiers/control/signed-document.ts'
import type { MoveState } from '../../tiers/move/states.ts'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { runCli } from '../support/cli.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { temporaryFolder } from '../support/temporary.ts'

let system: TestSystem
let admin: TestAdmin
let env: Record<string, string>
beforeAll(async () => {
  system = await startTestSystem({ moveSettings: { quarantineMs: 300, deadlineMs: 3_000, drainMs: 1_000 } })
  system.control.moves.run()
  admin = await startTestAdmin(system)
  env = { INNKEEPER_ADMIN_URL: await admin.listen(), INNKEEPER_ADMIN_TOKEN: admin.token }
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

const run = (args: string) => runCli(args.split(' '), { env })

test('a dry run says what would be moved and changes nothing', async () => {
  const { status, body } = await admin.call('POST', '/admin/v1/tenants/acme/moves', {
    tier: 'enterprise',
    dryRun: true,
  })
  expect(status).toBe(200)
  expect(body).toMatchObject({ kind: 'room', refusals: [], from: { tier: 'free' }, to: { tier: 'enterprise' } })
  expect((await admin.call('GET', '/admin/v1/moves')).body).toEqual({ moves: [], next: null })
  const shown = await run('tenants move acme --tier enterprise --dry-run')
  expect(shown).toMatchObject({
    code: 0,
    out: expect.stringContaining('free (shared) us/us-1 -> enterprise (database) us/us-1'),
  })
})

test('a move is begun, followed to its new home, rolled back, and each step is logged with who and why', async () => {
  const started = await admin.call('POST', '/admin/v1/tenants/acme/moves', { tier: 'pro', reason: 'bought it' })
  expect(started.status).toBe(202)
  expect(started.headers.get('location')).toBe(`/admin/v1/moves/${started.body.id}`)
  const path = `/admin/v1/moves/${started.body.id}`
  await expect.poll(async () => (await admin.call('GET', path)).body.state, { timeout: 20_000 }).toBe('watching')
  const { body } = await admin.call('GET', path)
  expect(body).toMatchObject({ attempts: 1, askedBy: expect.any(String), progress: { lag: 0 } })
  expect(body.pauseMs).toBeGreaterThan(0)
  expect((await admin.call('POST', `${path}/abort`)).status).toBe(409)
  expect((await admin.call('GET', `${path}/certificate`)).status).toBe(409)
  expect((await admin.call('POST', `${path}/rollback`, { reason: 'a mistake' })).status).toBe(202)
  const response = await fetch(`${env.INNKEEPER_ADMIN_URL}${path}/events`, {
    headers: { authorization: `Bearer ${admin.token}` },
  })
  expect(response.headers.get('content-type')).toContain('text/event-stream')
  const text = await response.text()
  expect(text).toMatch(/^event: (move|end)$/m)
  expect(text).toMatch(/event: end\ndata: .*"state":"rolled_back"/)
  const { body: certificate } = await admin.call('GET', `${path}/certificate`)
  expect(verify(certificate)).toBe(true)
  expect(certificate.document).toMatchObject({ outcome: 'rolled_back', emptied: body.to.placement, rows: 0 })
  const actions = admin.lines.filter((l) => l.event === 'admin.change').map((l) => [l.action, l.reason])
  expect(actions).toContainEqual(['tenant.move', 'bought it'])
  expect(actions).toContainEqual(['move.rollback', 'a mistake'])
})

test('the command line moves a tenant, shows it and completes it', async () => {
  const moved = await run('tenants move hooli --tier enterprise --watch --json')
  expect(moved.code).toBe(0)
  const { id, state } = JSON.parse(moved.out)
  expect(state).toBe('watching')
  expect((await run('moves list --tenant hooli --open')).out).toContain(id)
  expect((await run(`moves show ${id}`)).out).toMatch(/^state +watching$/m)
  const sql = postgres(system.config.controlUrl)
  await sql`update moves set progress = progress || '{"throttled": 0.4}', reason = 'waiting for a place on cluster x' where id = ${id}`
  await sql.end()
  expect((await run(`moves show ${id}`)).out).toMatch(/^speed +throttled 40 %$/m)
  expect((await run('moves list --tenant hooli --open')).out).toContain('waiting for a place on cluster x')
  const done = await run(`moves complete ${id} --watch --json`)
  expect(JSON.parse(done.out)).toMatchObject({
    state: 'completed',
    certificate: { left: { rows: 0, notes: 0, fence: 0 } },
  })
  expect((await run('tenants show hooli')).out).toMatch(/^tier +enterprise \(database\)$/m)
  expect((await run(`moves rollback ${id}`)).code).not.toBe(0)
  expect((await admin.call('GET', '/admin/v1/moves/nonsense')).status).toBe(404)
  expect((await admin.call('POST', '/admin/v1/tenants/hooli/moves', { tier: 'gold' })).body).toMatchObject({
    field: 'tier',
  })
})

test('how long a move will take is said while it copies and while it verifies, and nothing is made up where it is not known', async () => {
  const [{ id }] = (await admin.call('GET', '/admin/v1/moves?tenant=hooli&open=false')).body.moves
  const move = await system.control.moves.get(id)
  const at = (state: MoveState, progress: object) =>
    moveView({ ...move, state, progress: { ...move.progress, ...progress } }).progress.etaS
  const copied = { rowsTotal: 1_000, rows: 400, rowsPerSecond: 100, verified: 0, verifiedPerSecond: 0 }
  expect(at('copying', copied)).toBe(6)
  expect(at('verifying', copied)).toBeNull()
  expect(at('verifying', { ...copied, rows: 1_000, verified: 500, verifiedPerSecond: 250 })).toBe(2)
  // Rows that were added meanwhile.
  expect(at('verifying', { ...copied, verified: 1_100, verifiedPerSecond: 250 })).toBe(0)
  // Begun by a version that did not count them.
  expect(at('verifying', { ...copied, verified: undefined, verifiedPerSecond: undefined })).toBeNull()
  expect(at('watching', copied)).toBeNull()
})

test('a certificate is shown, kept in a file, and checked where there is no control plane', async () => {
  const [move] = (await admin.call('GET', '/admin/v1/moves?tenant=hooli&open=false')).body.moves
  const shown = await run(`moves certificate ${move.id}`)
  expect(shown.out).toMatch(/^outcome +completed$/m)
  expect(shown.out).toMatch(/^tickets +\d+ +[\d:.]+ +yes$/m)
  expect(shown.out).toMatch(/^us-1 +databases +0$/m)
  const { body } = await admin.call('GET', `/admin/v1/moves/${move.id}/certificate`)
  const asked = { askedBy: expect.any(String), endedBy: expect.any(String), tenant: { slug: 'hooli' } }
  expect(body.document).toMatchObject(asked)
  const folder = await temporaryFolder('certificate')
  const file = join(folder, 'certificate.json')
  const offline = (...args: string[]) => runCli(['moves', 'certificate', '--verify', file, ...args])
  await writeFile(file, JSON.stringify(body, null, 2))
  expect(await offline('--key', body.keyId)).toMatchObject({ code: 0, out: `valid: signed by ${body.keyId}\n` })
  expect((await offline('--key', 'another')).err).toContain('another key')
  await writeFile(file, JSON.stringify(body).replace('"slug":"hooli"', '"slug":"acme"'))
  expect(await offline()).toMatchObject({ code: 1, err: expect.stringContaining('not what was signed') })
  await rm(folder, { recursive: true })
})
