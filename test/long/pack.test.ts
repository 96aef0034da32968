import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../support/cli.ts'
import { whenWeDie } from '../support/guard.ts'
import { startTestSystem, type TestSystem } from '../support/system.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { waitUntil } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)
let base: string
let project: string
let bin: string

beforeAll(async () => {
  base = await temporaryFolder('pack')
  project = join(base, 'project')
  const installed = join(project, 'node_modules', 'innkeeper')
  bin = join(installed, 'gateway/cli/innkeeper.js')
  await mkdir(installed, { recursive: true })
  await run('npm', ['pack', '--pack-destination', base], { cwd: ROOT })
  const archive = (await readdir(base)).find((f) => f.endsWith('.tgz'))!
  await run('tar', ['-xzf', join(base, archive), '-C', installed, '--strip-components=1'])
  await writeFile(join(project, 'package.json'), '{ "type": "module" }')
  // What an install brings: what the package declares, and no more. Links are quicker than a registry, and need none.
  const { dependencies } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
  for (const name of [...Object.keys(dependencies), '@types/node', 'undici-types']) {
    const link = join(project, 'node_modules', name)
    await mkdir(dirname(link), { recursive: true })
    await symlink(join(ROOT, 'node_modules', name), link)
  }
})
afterAll(() => rm(base, { recursive: true, force: true }))

test('the package holds JavaScript, types and what it reads when it runs, and nothing else', async () => {
  const files = await readdir(join(project, 'node_modules/innkeeper'), { recursive: true })
  const odd = files.filter((f) => f.includes('.') && !/(\.d\.ts|\.js|\.sql|\.json|\.template|\.md)$/.test(f))
  expect(odd).toEqual([])
  const sources = files.filter((f) => f.startsWith('dist/') && /\.(sql|json|template)$/.test(f))
  for (const file of sources) expect(existsSync(join(ROOT, file.slice('dist/'.length))), file).toBe(true)
  const sql = (folder: string) => readdir(join(ROOT, folder)).then((all) => all.filter((f) => f.endsWith('.sql')))
  for (const folder of ['tiers/tenancy', 'tiers/keys', 'tiers/directory/migrations', 'config/migrations']) {
    for (const file of await sql(folder)) expect(sources).toContain(`dist/${folder}/${file}`)
  }
  expect(files.some((f) => f.startsWith('test') || f.includes('node_modules'))).toBe(false)
})

const SAMPLE = `
import { text } from 'drizzle-orm/pg-core'
import { type InnkeeperError, isInnkeeperError, openTenants, type Tenants } from 'innkeeper'
import { defineConfig, secret, tenantTable } from 'innkeeper/config'
import { bigint } from 'drizzle-orm/pg-core'

const tags = tenantTable('tags', { id: bigint({ mode: 'number' }).generatedByDefaultAsIdentity(), name: text().notNull() })
const schema = { tags }
const config = defineConfig({
  control: { url: secret('INNKEEPER_CONTROL_URL'), readUrl: secret('INNKEEPER_DIRECTORY_URL') },
  regions: {
    us: {
      url: 'http://localhost:8080',
      key: secret('INNKEEPER_US_KEY'),
      clusters: { 'us-1': { url: secret('INNKEEPER_US_1_URL'), adminUrl: secret('INNKEEPER_US_1_ADMIN_URL') } },
    },
  },
  tiers: { free: { isolation: 'shared' }, pro: { isolation: 'schema' }, enterprise: { isolation: 'database' } },
})

const tenants = await openTenants(config, { schema })
const sameType: Tenants<typeof schema> = tenants
const names: string[] = []
for (const slug of ['acme', 'hooli', 'initech']) {
  const [made] = await sameType.for(slug).insert(tags).values({ name: slug }).returning()
  const found: { name: string }[] = await tenants.for(slug).select({ name: tags.name }).from(tags)
  names.push(made!.name, ...found.map((f) => f.name))
}
const code: InnkeeperError['code'] | null = await tenants.find('nobody').then(
  () => null,
  (error: unknown) => (isInnkeeperError(error) ? error.code : null),
)
// @ts-expect-error there is no such column
const wrong = () => tenants.for('acme').select({ x: tags.nope }).from(tags)
await tenants.close()
console.log(JSON.stringify({ names, code, wrong: typeof wrong }))
`

const tsc = (folder: string, ...args: string[]) =>
  run(join(ROOT, 'node_modules/.bin/tsc'), ['--noEmit', ...args], { cwd: folder }).then(
    () => '',
    (error: { stdout: string }) => error.stdout,
  )

test('a program in an empty project checks its types and serves tenants of every model', async () => {
  const system: TestSystem = await startTestSystem()
  try {
    await writeFile(join(project, 'sample.ts'), SAMPLE)
    const options = '--target esnext --module nodenext --strict --skipLibCheck --types node sample.ts'.split(' ')
    expect(await tsc(project, ...options)).toBe('')
    const { out, err } = await runCli([], { bin: join(project, 'sample.ts'), env: system.env })
    expect(err).toBe('')
    expect(JSON.parse(out)).toEqual({
      names: ['acme', 'acme', 'hooli', 'hooli', 'initech', 'initech'],
      code: 'tenant_not_found',
      wrong: 'function',
    })
  } finally {
    await system.close()
  }
})

test('a product made by init checks its types and runs by the package alone', async () => {
  const product = join(project, 'product')
  const state = join(base, 'state')
  expect((await runCli(['init', product], { bin })).code).toBe(0)
  expect(await tsc(product)).toBe('')
  const args = [bin, 'dev', '--config', product, '--state', state, '--port', '0', '--admin-port', '0']
  const child = spawn(process.execPath, args, { cwd: base, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const ended = once(child, 'exit')
  const callOff = whenWeDie('kill -TERM "$1"', String(child.pid))
  try {
    const file = join(state, 'demo.json')
    const hasStarted = () => {
      if (child.exitCode !== null) throw new Error(output)
      return existsSync(file)
    }
    await waitUntil('the product to start', hasStarted, 50_000)
    const { tenants } = JSON.parse(await readFile(file, 'utf8'))
    const { url, apiKey } = tenants.find((t: { slug: string }) => t.slug === 'initech')
    const headers = { apikey: apiKey, 'content-type': 'application/json' }
    const body = JSON.stringify({ name: 'house' })
    expect((await fetch(`${url}/rest/v1/projects`, { method: 'POST', headers, body })).status).toBe(201)
    expect(await (await fetch(`${url}/v1/overview`, { headers })).json()).toEqual({
      tenant: 'initech',
      projects: [{ project: 'house', notes: 0 }],
    })
    expect((await runCli(['doctor', '--state', state], { bin })).out).toMatch(/0 failures\n$/)
  } finally {
    child.kill('SIGTERM')
    await ended
    callOff()
  }
  expect(child.exitCode).toBe(0)
}, 90_000)
