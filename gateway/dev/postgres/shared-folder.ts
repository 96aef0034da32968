import { accessSync, constants } from 'node:fs'
import { chown, lstat, mkdir } from 'node:fs/promises'
import { InnkeeperError } from '../../../tiers/errors.ts'
import type { Account } from './account.ts'

/**
 * The folder for what another user has to reach and ours does not let through. /var/tmp is swept of old files on some
 * machines, which would leave half a database: it is the second choice.
 */
export function sharedFolder(): string {
  try {
    accessSync('/var/lib', constants.W_OK)
    return '/var/lib'
  } catch {
    return '/var/tmp'
  }
}

/** Makes a folder that is the account's alone, unless it is there. */
export async function makeOwnFolder(path: string, { uid, gid }: Account): Promise<void> {
  if (await isOwnFolder(path, uid)) return
  await mkdir(path, { mode: 0o700 })
  await chown(path, uid, gid)
}

/**
 * In a folder that everybody can write to, someone may have put theirs under our name first: that is refused.
 *
 * @throws InnkeeperError `internal` when it is somebody else's
 */
export async function isOwnFolder(path: string, uid: number): Promise<boolean> {
  const found = await statOrNull(path)
  if (found === null) return false
  if (found.isDirectory() && found.uid === uid && (found.mode & 0o022) === 0) return true
  throw new InnkeeperError('internal', `${path} is there already, and is not ours`, { hint: 'Remove it.' })
}

/** Of the path itself, not of what a link there points to. */
export async function statOrNull(path: string) {
  return lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
}
