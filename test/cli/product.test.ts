import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadProduct } from '../../gateway/product.ts'
import { runCli } from '../support/cli.ts'
import { temporaryFolder } from '../support/temporary.ts'

const ROOT = new URL('../../', import.meta.url)
let base: string
let made: string
beforeAll(async () => {
  base = await temporaryFolder('product')
  made = join(base, 'made')
  expect(await runCli(['init', made])).toMatchObject({ code: 0, out: expect.stringContaining('schema.ts') })
})
afterAll(() => rm(base, { recursive: true, force: true }))

/** Loads a folder in a process of its own, where Node itself resolves modules. */
async function load(
  folder: string,
  then = 'console.log(JSON.stringify({ r: p.references, t: Object.keys(p.schema), routes: p.routes !== null }))',
) {
  const script = join(base, 'load.mjs')
  const product = pathToFileURL(new URL('gateway/product.ts', ROOT).pathname).href
  await writeFile(
    script,
    `import { loadProduct } from '${product}'\nconst p = await loadProduct(${JSON.stringify(folder)}).catch((e) => ({ message: e.message, details: e.details, hint: e.hint, failed: true }))\nif (p.failed) console.log(JSON.stringify(p)); else { ${then} }`,
  )
  const { out, err } = await runCli([], { bin: script })
  if (out === '') throw new Error(err)
  return JSON.parse(out)
}

async function variant(name: string, change: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(base, name)
  await cp(made, folder, { recursive: true })
  await change(folder)
  return folder
}

test('the demo’s own folder is loaded where none is named', async () => {
  const product = await loadProduct(null)
  expect(product).toMatchObject({ isDemo: true, references: [] })
  expect(product.schema).toHaveProperty('tickets')
  expect(product.routes).not.toBeNull()
})

test('a folder outside the repository, with nothing installed, is loaded', async () => {
  expect(await load(made)).toEqual({
    r: [],
    t: ['notes', 'notesRelations', 'projects', 'projectsRelations'],
    routes: true,
  })
})

test('its tables and ours are of one Drizzle, so reference tables are known', async () => {
  const folder = await variant('references', async (f) => {
    const text = await readFile(join(f, 'schema.ts'), 'utf8')
    const more = "\nexport const countries = referenceTable('countries', { code: text().primaryKey() })\n"
    await writeFile(join(f, 'schema.ts'), text.replace('{ tenantTable }', '{ referenceTable, tenantTable }') + more)
  })
  expect((await load(folder)).r).toEqual(['countries'])
})

test('a change is read when the folder is loaded afresh, also in a file that another one imports', async () => {
  const folder = await variant('fresh', async (f) => {
    await writeFile(join(f, 'part.ts'), 'export const value: number = 1\n')
    await writeFile(join(f, 'schema.ts'), "export { value } from './part.ts'\n")
    await rm(join(f, 'routes.ts'))
  })
  const then = `const { writeFileSync } = await import('node:fs')
    writeFileSync(${JSON.stringify(join(folder, 'part.ts'))}, 'export const value = 2')
    const q = await loadProduct(${JSON.stringify(folder)}, { fresh: true })
    console.log(JSON.stringify([p.schema.value, q.schema.value]))`
  expect(await load(folder, then)).toEqual([1, 2])
})

test('a fault comes with the file and what to do', async () => {
  const cases: [string, (f: string) => Promise<void>, RegExp, RegExp][] = [
    ['no-config', (f) => rm(join(f, 'innkeeper.config.ts')), /innkeeper\.config\.ts is missing/, /innkeeper init/],
    ['no-schema', (f) => rm(join(f, 'schema.ts')), /schema\.ts is missing/, /innkeeper init/],
    ['no-migrations', (f) => rm(join(f, 'migrations'), { recursive: true }), /migrations is missing/, /generate/],
    [
      'no-default',
      (f) => writeFile(join(f, 'innkeeper.config.ts'), 'export const x = 1'),
      /has no default export/,
      /export default/,
    ],
    ['no-app', (f) => writeFile(join(f, 'routes.ts'), 'export default 7'), /exports no Hono app/, /defineRoutes/],
    ['syntax', (f) => writeFile(join(f, 'schema.ts'), 'export const = 1'), /schema\.ts cannot be loaded/, /syntax/i],
    [
      'enum',
      (f) => writeFile(join(f, 'schema.ts'), 'export enum A { B }'),
      /schema\.ts cannot be loaded/,
      /strips types/,
    ],
    [
      'package',
      (f) => writeFile(join(f, 'routes.ts'), "import 'no-such-package'"),
      /no-such-package/,
      /Install the package/,
    ],
    [
      'throws',
      (f) => writeFile(join(f, 'routes.ts'), "throw new Error('my fault')"),
      /routes\.ts cannot be loaded: my fault/,
      /runs when/,
    ],
  ]
  for (const [name, change, message, hint] of cases) {
    const found = await load(await variant(name, change))
    expect(found.message, name).toMatch(message)
    expect(found.hint, name).toMatch(hint)
  }
  expect((await load(join(base, 'nowhere'))).message).toMatch(/nowhere is not there/)
})

test('init leaves a folder that holds something alone, unless it is forced', async () => {
  const folder = join(base, 'full')
  await mkdir(folder)
  await writeFile(join(folder, 'mine.txt'), 'mine')
  expect(await runCli(['init', folder])).toMatchObject({
    code: 4,
    err: expect.stringMatching(/not empty[\s\S]*--force/),
  })
  expect(await runCli(['init', folder, '--force', '--json'])).toMatchObject({ code: 0 })
  expect(await readFile(join(folder, 'mine.txt'), 'utf8')).toBe('mine')
  expect(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))).toMatchObject({ name: 'full' })
})

test('the template’s migration is what its schema asks for', async () => {
  const result = await runCli(['generate', 'nothing', '--config', made])
  expect(result).toMatchObject({ code: 0, out: '', err: expect.stringContaining('nothing to write') })
})

test('a change of the schema becomes a migration', async () => {
  const folder = await variant('changed', async (f) => {
    const text = await readFile(join(f, 'schema.ts'), 'utf8')
    await writeFile(
      join(f, 'schema.ts'),
      text.replace('title: text().notNull(),', 'title: text().notNull(),\n    due: text(),'),
    )
  })
  const { code, out } = await runCli(['generate', 'add_due', '--config', folder])
  expect(code).toBe(0)
  expect(out.trim()).toBe(join(folder, 'migrations', '0002_add_due.sql'))
  expect(await readFile(out.trim(), 'utf8')).toBe('ALTER TABLE "{room}"."notes" ADD COLUMN "due" text;\n')
})

test('with an older Node the command runs itself by the one that npm brought', async () => {
  // A Node that only says that it is old.
  const old = join(base, 'old-node')
  await writeFile(
    old,
    `#!/bin/sh\nexec "${process.execPath}" --import 'data:text/javascript,Object.defineProperty(process.versions, "node", { value: "20.1.0" })' "$@"\n`,
    { mode: 0o755 },
  )
  expect(await runCli(['--version'], { node: old })).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  })
  expect((await runCli(['tenants', 'frob'], { node: old })).code).toBe(2)
})
