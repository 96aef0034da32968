import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { getTableName, type Table } from 'drizzle-orm'
import type { Hono } from 'hono'
import { isReferenceTable } from '../config/tenant-table.ts'
import { InnkeeperError } from '../tiers/errors.ts'
import { loadModule } from './product/load-module.ts'
import { resolveToThisCopy } from './product/resolve.ts'

/** A product's own part: its configuration, tables, migrations and endpoints. */
export interface Product {
  /** The absolute path of the folder. */
  readonly folder: string
  /** What `innkeeper.config.ts` exports by default; not checked yet. */
  readonly config: unknown
  /** What `schema.ts` exports. */
  readonly schema: Record<string, unknown>
  /** Names of the tables that every tenant reads and none writes. */
  readonly references: string[]
  /** What `routes.ts` exports by default; null where there is no such file. */
  readonly routes: Hono | null
  readonly migrationsFolder: string
  /** True for the demo's own, which comes with Innkeeper. */
  readonly isDemo: boolean
}

export interface LoadProductOptions {
  /** Reads the files again although this process has read them before: after a change, in `dev`. */
  readonly fresh?: boolean
}

const OWN_FOLDER = resolve(fileURLToPath(new URL('../config/', import.meta.url)))
const EXTENSIONS = ['.ts', '.js', '.mts', '.mjs'] as const

/**
 * Loads a product's config folder. It may be anywhere: in it, `innkeeper/config`, `drizzle-orm` and `hono` are this
 * very copy's.
 *
 * @param configFolder null for the demo's own
 * @throws InnkeeperError `invalid_config`, naming the file and what to do
 */
export async function loadProduct(
  configFolder: string | null,
  { fresh = false }: LoadProductOptions = {},
): Promise<Product> {
  const folder = configFolder === null ? OWN_FOLDER : resolve(configFolder)
  const isDemo = folder === OWN_FOLDER
  await assertFolder(folder)
  if (!isDemo) resolveToThisCopy()
  // A module is read once per URL; with another query it is another URL, and so are the modules it imports.
  const query = fresh ? `?fresh=${Date.now().toString(36)}` : ''
  const load = async (path: string) => loadModule(path, pathToFileURL(path).href + query)

  const config = await configIn(folder, load)
  const schemaFile = await required(folder, 'schema', "the application's tables")
  const routesFile = await find(folder, 'routes')
  const schema = { ...(await load(schemaFile)) }
  const routes = routesFile === null ? null : routesOf(routesFile, (await load(routesFile)).default)
  const migrationsFolder = join(folder, 'migrations')
  if (!(await exists(migrationsFolder))) {
    throw fault(migrationsFolder, 'is missing', 'Write the first migration: innkeeper generate init --config DIR')
  }
  return { folder, config, schema, references: referencesIn(schema), routes, migrationsFolder, isDemo }
}

/** The configuration alone, not checked yet. @throws InnkeeperError `invalid_config` */
export async function loadConfig(configFolder: string | null): Promise<unknown> {
  const folder = configFolder === null ? OWN_FOLDER : resolve(configFolder)
  await assertFolder(folder)
  if (folder !== OWN_FOLDER) resolveToThisCopy()
  return configIn(folder, (path) => loadModule(path, pathToFileURL(path).href))
}

async function configIn(folder: string, load: (path: string) => Promise<Record<string, unknown>>): Promise<unknown> {
  const file = await required(folder, 'innkeeper.config', 'the regions, clusters and tiers')
  const { default: config } = await load(file)
  if (config === undefined) throw fault(file, 'has no default export', 'Write: export default defineConfig({ ... })')
  return config
}

/** The tables alone, for a folder that has no migrations yet. @throws InnkeeperError `invalid_config` */
export async function loadSchema(configFolder: string | null): Promise<Pick<Product, 'schema' | 'migrationsFolder'>> {
  const folder = configFolder === null ? OWN_FOLDER : resolve(configFolder)
  await assertFolder(folder)
  if (folder !== OWN_FOLDER) resolveToThisCopy()
  const file = await required(folder, 'schema', "the application's tables")
  const schema = { ...(await loadModule(file, pathToFileURL(file).href)) }
  return { schema, migrationsFolder: join(folder, 'migrations') }
}

/** The files of a config folder that make a product another one, for whoever watches them. */
export function isProductFile(name: string): boolean {
  return /\.(ts|js|mts|mjs|sql|json)$/.test(name) && !name.includes('node_modules')
}

function referencesIn(schema: Record<string, unknown>): string[] {
  const tables = Object.values(schema).filter((v) => typeof v === 'object' && v !== null && isReferenceTable(v))
  return tables.map((t) => getTableName(t as Table))
}

/** Recognised by what is used of it, since a product may have a copy of Hono of its own. */
function routesOf(file: string, value: unknown): Hono {
  if (typeof value === 'object' && value !== null && 'routes' in value && 'fetch' in value) return value as Hono
  throw fault(file, 'exports no Hono app by default', 'Write: const app = defineRoutes(schema); export default app')
}

async function required(folder: string, name: string, holds: string): Promise<string> {
  const found = await find(folder, name)
  if (found !== null) return found
  throw fault(join(folder, `${name}.ts`), `is missing; it holds ${holds}`, 'Make a whole folder: innkeeper init DIR')
}

async function find(folder: string, name: string): Promise<string | null> {
  for (const extension of EXTENSIONS) {
    const path = join(folder, name + extension)
    if (await exists(path)) return path
  }
  return null
}

async function assertFolder(folder: string): Promise<void> {
  if (await exists(folder)) return
  throw fault(folder, 'is not there', 'Give an existing folder, or make one: innkeeper init DIR')
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return false
    throw fault(path, `cannot be read (${code})`, 'Give this user the right to read it.', error)
  }
}

function fault(file: string, what: string, hint: string, cause?: unknown): InnkeeperError {
  return new InnkeeperError('invalid_config', `${file} ${what}`, { hint, cause })
}
