import { execFile } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { chown, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { InnkeeperError } from '../../../tiers/errors.ts'
import { asAccount } from './account.ts'
import { programPath } from './binaries.ts'
import type { Place } from './place.ts'
import { isAlive } from './process.ts'

const run = promisify(execFile)

/** Followed by the process id of the start that makes it. */
const HALF_MADE = 'half-made-'

/**
 * The superuser's password of the server in a folder: the one that is kept there, or a new one.
 *
 * @throws InnkeeperError `internal` when it belongs to another user
 */
export async function keptPassword(dataDir: string): Promise<string> {
  const path = join(dataDir, 'password')
  const password = randomBytes(24).toString('base64url')
  try {
    await writeFile(path, password, { mode: 0o600, flag: 'wx' })
    return password
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new InnkeeperError('internal', `The data in ${dataDir} belongs to another user`, {
      hint: 'Start as that user or as root, or have that user remove it with a reset.',
      cause,
    })
  }
}

/**
 * Makes the data folder by initdb, unless it is there. It is made under another name and renamed when it is complete,
 * so that a data folder is never half made, whenever this is killed; what a killed one has left is removed. Of two
 * starts that make it at the same time, one is the first to rename, and its folder serves both.
 *
 * The locale is C, which sorts alike in every version and on every system. Nothing is synced here: a machine that
 * fails within seconds of the very first start loses data that was made a moment ago.
 *
 * @returns whether it had to be made
 */
export async function ensureCluster(place: Place, password: string): Promise<boolean> {
  if (await exists(place.data)) return false
  await removeLeftovers(place)
  const half = join(place.home, `${HALF_MADE}${process.pid}-${randomUUID()}`)
  const passwordFile = `${half}-password`
  try {
    await writeFile(passwordFile, password, { mode: 0o600 })
    if (place.account !== null) await chown(passwordFile, place.account.uid, place.account.gid)
    await initdb(place, half, passwordFile)
    await rename(half, place.data)
  } catch (error) {
    await rm(half, { recursive: true, force: true })
    if (!(await exists(place.data))) throw error
  } finally {
    await rm(passwordFile, { force: true })
  }
  return true
}

async function initdb(place: Place, target: string, passwordFile: string): Promise<void> {
  const choices = ['--locale=C', '--encoding=UTF8', '--username=postgres', '--auth=scram-sha-256']
  const speed = ['--no-sync', '--no-instructions']
  const args = ['-D', target, `--pwfile=${passwordFile}`, ...choices, ...speed]
  try {
    await run(programPath(place.binaries, 'initdb'), args, asAccount(place.account))
  } catch (cause) {
    throw new InnkeeperError('internal', `initdb could not make ${place.data}`, {
      details: (cause as { stderr?: string }).stderr?.trim() ?? String(cause),
      hint: 'See that the disk has 50 MB to spare and that shared memory is allowed.',
      cause,
    })
  }
}

/** Our own process id among them is one of a killed start's: in containers, each start tends to get the same. */
async function removeLeftovers({ home }: Place): Promise<void> {
  for (const name of await readdir(home)) {
    if (!name.startsWith(HALF_MADE)) continue
    const maker = Number.parseInt(name.slice(HALF_MADE.length), 10)
    if (maker !== process.pid && isAlive(maker)) continue
    // An initdb that has outlived its start may still write for a moment, hence the retries.
    await rm(join(home, name), { recursive: true, force: true, maxRetries: 10 })
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
}
