import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CliError } from '../failure.ts'
import { ownPackage } from '../package.ts'

/** Files carry this behind their names, so that tools leave them alone until they are where they belong. */
const SUFFIX = '.template'
const TEMPLATE = fileURLToPath(new URL('../template/', import.meta.url))

export interface WriteProductOptions {
  /** Becomes the package's name. */
  readonly name: string
  /** Also into a folder that holds something. */
  readonly isForced: boolean
}

/**
 * Writes a product's folder from the template.
 *
 * @returns the files' paths in the folder
 * @throws CliError where the folder is not empty
 */
export async function writeProduct(folder: string, { name, isForced }: WriteProductOptions): Promise<string[]> {
  const present = await listed(folder)
  if (present.length > 0 && !isForced) {
    throw new CliError(`${folder} is not empty: it holds ${present.slice(0, 3).join(', ')}`, {
      code: 'conflict',
      hint: 'Name a new folder, or write over it with --force.',
    })
  }
  const values = await placeholders(name)
  const entries = await readdir(TEMPLATE, { recursive: true, withFileTypes: true })
  const files: string[] = []
  for (const entry of entries.filter((e) => e.isFile())) {
    const source = join(entry.parentPath, entry.name)
    // npm leaves a file named .gitignore out of a package.
    const path = source.slice(TEMPLATE.length, -SUFFIX.length).replace(/^gitignore$/, '.gitignore')
    const text = (await readFile(source, 'utf8')).replaceAll(
      /\{\{([^}]+)\}\}/g,
      (whole, key: string) => values[key] ?? whole,
    )
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
    files.push(path)
  }
  return files.sort()
}

async function listed(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return []
    throw new CliError(`${folder} cannot be used (${code})`, { hint: 'Name a folder, new or empty.', cause })
  }
}

/** The versions that this very copy was tested with. */
async function placeholders(name: string): Promise<Record<string, string>> {
  const { version, dependencies, devDependencies } = ownPackage()
  return { ...devDependencies, ...dependencies, version, name: packageName(name) }
}

/** npm's rules for names: lower case, digits, dashes. */
function packageName(text: string): string {
  const name = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  return name || 'product'
}
