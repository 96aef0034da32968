import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
/** What each folder may import from, beside itself and packages. */
const ALLOWED: Record<string, readonly string[]> = { config: [], tiers: ['config'], gateway: ['tiers', 'config'] }

interface Import {
  readonly file: string
  readonly specifier: string
}

function sourcesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((f) => /\.(ts|js|mjs)$/.test(f) && !f.includes('node_modules') && !f.includes('template'))
    .map((f) => join(ROOT, folder, f))
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((m) => ({ file, specifier: m[1]! }))
}

const all = Object.keys(ALLOWED).flatMap(sourcesOf).flatMap(importsOf)

test('imports go one way: gateway, tiers, config', () => {
  expect(all.length).toBeGreaterThan(200)
  const wrong = all
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ file, specifier }) => ({
      from: relative(ROOT, file),
      to: relative(ROOT, resolve(dirname(file), specifier)),
    }))
    .filter(({ from, to }) => {
      const [here, there] = [from.split('/')[0]!, to.split('/')[0]!]
      // The command starts what was built, and the package's description is data.
      if (there === 'dist' || to === 'package.json') return false
      return here !== there && !ALLOWED[here]!.includes(there)
    })
  expect(wrong).toEqual([])
})

test('the data layer knows no HTTP', () => {
  const http = all.filter(
    ({ file, specifier }) =>
      relative(ROOT, file).startsWith('tiers/') && /^(hono|@hono\/|node:https?$|undici)/.test(specifier),
  )
  expect(http).toEqual([])
})

test('only the configuration reads the environment', () => {
  const readers = Object.keys(ALLOWED)
    .flatMap(sourcesOf)
    .filter((file) => /process\.env\b/.test(readFileSync(file, 'utf8')))
    .map((file) => relative(ROOT, file))
  expect(readers.filter((f) => !f.startsWith('config/'))).toEqual([])
})

/** What is loaded with a file: of our own, and the packages. What it imports when it is needed does not count. */
function loadedWith(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found
  found.add(file)
  const text = readFileSync(file, 'utf8')
  for (const [, specifier] of text.matchAll(/^(?:import (?!type )|export .*from |\} from )[^;\n]*?'([^']+)'/gm)) {
    if (specifier!.startsWith('.')) loadedWith(resolve(dirname(file), specifier!), found)
    else if (!specifier!.startsWith('node:')) found.add(specifier!)
  }
  return found
}

test('the command line loads no more than it needs to understand what is asked for', () => {
  const loaded = [...loadedWith(join(ROOT, 'gateway/cli/main.ts'))]
  expect(loaded.length).toBeGreaterThan(40)
  expect(loaded.filter((f) => !f.startsWith('/'))).toEqual(['commander'])
})
