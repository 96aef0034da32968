import { execFile } from 'node:child_process'
import { chown, rename, rm, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { InnkeeperError } from '../../../tiers/errors.ts'
import { asAccount } from './account.ts'
import { programPath } from './binaries.ts'
import { halfMadeName, removeHalfMade } from './half-made.ts'
import type { Place } from './place.ts'
import { statOrNull } from './shared-folder.ts'

const run = promisify(execFile)

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
export async function ensureCluster(place: Place): Promise<boolean> {
  if ((await statOrNull(place.data)) !== null) return false
  await removeHalfMade(place.home)
  const half = halfMadeName(place.home)
  const passwordFile = `${half}-password`
  try {
    await writeFile(passwordFile, place.password, { mode: 0o600 })
    if (place.account !== null) await chown(passwordFile, place.account.uid, place.account.gid)
    await initdb(place, half, passwordFile)
    await rename(half, place.data)
  } catch (error) {
    await rm(half, { recursive: true, force: true })
    if ((await statOrNull(place.data)) === null) throw error
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
