import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestAdmin, type TestAdmin } from '../support/admin.ts'
import { type CliRunOptions, hasTerminals, runCli, runInTerminal } from '../support/cli.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { temporaryFolder } from '../support/temporary.ts'

let system: TestSystem
let admin: TestAdmin
let env: Record<string, string>
beforeAll(async () => {
  system = await startTestSystem()
  admin = await startTestAdmin(system)
  env = { INNKEEPER_ADMIN_URL: await admin.listen(), INNKEEPER_ADMIN_TOKEN: admin.token }
})
afterAll(async () => {
  await admin?.close()
  await system?.close()
})

const run = (args: string, options: CliRunOptions = {}) => runCli(args.split(' '), { env, ...options })

test('tenants are made, listed, shown and removed', async () => {
  expect(await run('tenants create stark --region us --tier pro --domain desk.stark.example')).toMatchObject({
    code: 0,
  })
  const list = await run('tenants list --tier pro')
  expect(list.out.split('\n').slice(0, 3)).toEqual([
    'tenant  tier  isolation  region  status  cluster',
    'hooli   pro   schema     us      active  us-1',
    'stark   pro   schema     us      active  us-1',
  ])
  expect((await run('tenants show stark')).out).toMatch(/^domains +desk\.stark\.example$/m)
  const suspended = await run('tenants suspend stark --reason unpaid --json')
  expect(JSON.parse(suspended.out)).toMatchObject({ slug: 'stark', status: 'suspended' })
  expect((await run('tenants resume stark')).out).toMatch(/^status +active$/m)
  expect(await run('tenants offboard stark')).toMatchObject({ code: 2, err: expect.stringContaining('--yes') })
  expect((await run('tenants show stark --json')).out).toContain('"active"')
  expect(await run('tenants offboard stark --yes')).toMatchObject({ code: 0 })
  expect((await run('tenants list --status offboarded --json')).out).toContain('stark')
})

test('what other regions do with a tenant is said when it is made, and changed', async () => {
  expect((await run('tenants create wayne --region us --tier free --away redirect')).out).toMatch(/^away +redirect$/m)
  expect((await run('tenants set-away wayne reject --reason law')).out).toMatch(/^away +reject$/m)
  // The demo's free tier forwards.
  expect((await run('tenants set-away wayne tier')).out).toMatch(/^away +forward$/m)
  expect(await run('tenants set-away wayne nowhere')).toMatchObject({ code: 2 })
  expect(await run('tenants offboard wayne --yes')).toMatchObject({ code: 0 })
})

test('what a tenant is kept to is said when it is made, and changed for a reason', async () => {
  expect((await run('tenants create kept --region us --tier free --pin us')).out).toMatch(/^pinned +us$/m)
  expect(await run('residency set kept --pin any')).toMatchObject({ code: 2, err: expect.stringContaining('--reason') })
  expect((await run('residency set kept --pin any --reason over --json')).out).toContain('"pinned": null')
  expect((await run('residency set kept --profile nonsense --reason x')).code).toBe(2)
})

test('a key made by the command is all that it writes, and is revoked by its id', async () => {
  const made = await run('keys create acme --name script --scope read --days 3')
  expect(made.out).toMatch(/^ink_[0-9a-f]{32}_[\w-]{43}\n$/)
  const [key] = JSON.parse((await run('keys list acme --json')).out)
  expect(key).toMatchObject({ name: 'script', scopes: ['read'], status: 'active' })
  expect((await run(`keys revoke acme ${key.id}`)).code).toBe(0)
  expect((await run('keys list acme')).out).toMatch(/script +read +revoked/)
})

test('domains are added and removed', async () => {
  expect((await run('domains add hooli help.hooli.example')).code).toBe(0)
  expect((await run('domains list hooli')).out).toBe('help.hooli.example\n')
  expect((await run('domains add acme help.hooli.example')).code).toBe(4)
  expect((await run('domains remove hooli help.hooli.example')).code).toBe(0)
  expect((await run('domains remove hooli help.hooli.example')).code).toBe(3)
})

test.skipIf(!hasTerminals)(
  'who is asked to confirm and presses Ctrl-C or Ctrl-D has interrupted it, and nothing is done; needs util-linux’ script',
  async () => {
    const asked = (keys: string) => runInTerminal(['tenants', 'offboard', 'acme'], env, 'to go on: ', keys)
    for (const keys of ['\x03', 'ac\x03', '\x04']) {
      const { code, out } = await asked(keys)
      expect([code, out], JSON.stringify(keys)).toEqual([130, expect.stringMatching(/\n.*nothing was done\r\n$/)])
    }
    expect(await asked('hooli\r')).toMatchObject({ code: 1, out: expect.stringContaining('nothing was done') })
    expect((await run('tenants show acme')).out).toContain('active')
  },
)

test('the shell runs statements in the tenant’s room', async () => {
  const one = await runCli(['shell', 'initech', '-c', 'select 1 as one'], { env })
  expect(one).toMatchObject({ code: 0, out: 'one\n  1\n' })
  const input = "insert into tags (name)\n  values ('a;b');\nselect name from tags; \\\n"
  const piped = await run('shell initech', { input: input.replace('\\\n', '\n\\d tags\n') })
  expect(piped).toMatchObject({ code: 0, out: expect.stringContaining('a;b') })
  expect(piped.out).toMatch(/^name +text +true$/m)
  expect((await runCli(['shell', 'acme', '--json', '-c', 'select name from tags'], { env })).out).toContain(
    '"rows": []',
  )
  const twice = await runCli(['shell', 'acme', '-c', `select 1 as a, 'NaN'::float8 as a`], { env })
  expect(twice.out).toMatch(/^a +a\n1 +NaN\n$/)
  const wrong = await run('shell acme', { input: 'select broken; select 1;' })
  expect(wrong).toMatchObject({ code: 2, out: '', err: expect.stringContaining('broken') })
})

test('what a tenant has written, and an error that repeats it, does not steer the terminal', async () => {
  const text = (kind: string) => String.raw`select E'a\x1b]0;b\x07\x1b[2J\u009bc'::${kind} as "n\u001b[8m"`
  const shown = await runCli(['shell', 'acme', '-c', text('text')], { env })
  expect(shown.out).toContain('a\ufffd]0;b\ufffd\ufffd[2J\ufffdc')
  const failed = await runCli(['shell', 'acme', '-c', text('int')], { env })
  expect(failed).toMatchObject({ code: 2, err: expect.stringContaining('a\ufffd]0;b') })
  for (const { out, err } of [shown, failed]) expect(out + err).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
})

test('migrate and doctor say how it stands, for people and for programs', async () => {
  expect((await run('migrate')).out).toMatch(/^\d+ rooms: 0 migrated, 0 failed/)
  expect(JSON.parse((await run('migrate --json')).out)).toMatchObject({ ok: true, failures: [] })
  expect(await run('doctor')).toMatchObject({ code: 0, out: expect.stringMatching(/0 failures\n$/) })
  const sql = system.control.makerOf('us-1').admin('postgres')
  await sql`alter role innkeeper_app bypassrls`
  const sick = await run('doctor --json')
  await sql`alter role innkeeper_app nobypassrls`
  expect(sick.code).toBe(1)
  expect(JSON.parse(sick.out)).toMatchObject({ status: 'fail' })
})

test('the exit code says what kind of failure it was, and the error what to do', async () => {
  const cases = [
    ['tenants show nobody', 3, /error: There is no tenant "nobody"/],
    ['tenants create acme --region us', 4, /There is a tenant "acme" already/],
    ['tenants tier acme enterprise', 4, /needs a move[\s\S]*hint:/],
    ['tenants create x_y --region us', 2, /slug: use 1 to 63/],
    ['tenants create x --region mars', 2, /hint: Use one of: us/],
    ['tenants list --limit 0', 2, /whole number from 1/],
    ['tenants list --admin-token wrong', 6, /token is not right[\s\S]*hint:/],
    ['tenants list --admin-url http://127.0.0.1:9', 5, /does not answer[\s\S]*hint:/],
    ['tenants list --admin-url nonsense', 2, /is not the URL[\s\S]*hint:/],
    ['tenants frob', 2, /unknown command/],
    ['tenants lst', 2, /Did you mean list/],
    ['serve', 2, /--region <name>/],
    ['serve --region us', 2, /(?=[\s\S]*INNKEEPER_US_KEY: is not set)[\s\S]*INNKEEPER_US_1_URL: is not set/],
    ['control', 2, /INNKEEPER_CONTROL_URL: is not set/],
    ['serve --region us --config /nowhere', 1, /\/nowhere is not there[\s\S]*hint:.*init/],
  ] as const
  for (const [args, code, says] of cases) {
    const { INNKEEPER_ADMIN_TOKEN: _, ...bare } = env
    const result = await run(args, args.startsWith('serve') || args === 'control' ? { env: bare } : {})
    expect(result.err, args).toMatch(says)
    expect(result.err, args).not.toMatch(/^\s+at /m)
    expect({ args, code: result.code, out: result.out }).toEqual({ args, code, out: '' })
  }
})

test('an error is JSON with --json, and has its stack with --debug only', async () => {
  const { err } = await run('tenants show nobody --json')
  expect(JSON.parse(err)).toEqual({ error: { code: 'tenant_not_found', message: 'There is no tenant "nobody"' } })
  expect((await run('tenants show nobody --debug')).err).toMatch(/^\s+at /m)
})

test('--help documents the exit codes and every command', async () => {
  const { out, code } = await run('--help')
  expect(code).toBe(0)
  for (const word of [
    'dev',
    'serve',
    'control',
    'init',
    'tenants',
    'domains',
    'keys',
    'shell',
    'migrate',
    'generate',
    'doctor',
  ]) {
    expect(out).toMatch(new RegExp(`^  ${word}\\b`, 'm'))
  }
  expect(out).toMatch(/^Exit codes:$/m)
  expect((await run('keys create --help')).out).toContain('--admin-url')
})

test('without a terminal there are no colours', async () => {
  expect((await run('tenants list')).out).not.toContain('\u001b')
})

test('without flags and environment the local system’s demo.json says where to go', async () => {
  const state = await temporaryFolder('state')
  const file = join(state, 'demo.json')
  const list = () => run(`tenants list --state ${state}`, { env: {} })
  expect(await list()).toMatchObject({ code: 5, err: expect.stringContaining('npm start') })
  await mkdir(state, { recursive: true })
  await writeFile(file, JSON.stringify({ adminUrl: env.INNKEEPER_ADMIN_URL, adminToken: admin.token }))
  expect(await list()).toMatchObject({ code: 0, out: expect.stringContaining('acme') })
  // Its token is not sent to an address that somebody names.
  const named = await run(`tenants list --state ${state} --admin-url ${env.INNKEEPER_ADMIN_URL}`, { env: {} })
  expect(named).toMatchObject({ code: 6, err: expect.stringContaining('INNKEEPER_ADMIN_TOKEN') })
  await writeFile(file, '{')
  expect(await list()).toMatchObject({ code: 1, err: expect.stringContaining('damaged') })
  await rm(state, { recursive: true })
})

test('control new-incarnation ends with 0 where all is clear, and with 7 where somebody has to look', async () => {
  const { makerOf } = system.control
  const admin = makerOf('us-1').admin('innkeeper_shared')
  const raise = (...args: string[]) => runCli(['control', 'new-incarnation', '--yes', ...args], { env })
  expect(await raise()).toMatchObject({ code: 0, out: expect.stringContaining('incarnation 1') })
  await admin`insert into tenancy.fence (tenant_id, epoch, state, room) values (gen_random_uuid(), 1, 'open', 'app')`
  for (const args of [[], ['--json']]) {
    const { code, out, err } = await raise(...args)
    expect([code, `${out}${err}`]).toEqual([7, expect.stringContaining('whom the directory does not know')])
  }
})
