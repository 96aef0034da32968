import { randomBytes, randomUUID } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InnkeeperError } from '../../../tiers/errors.ts'
import { statOrNull } from './shared-folder.ts'

/**
 * The superuser's password of the server in a folder: the one that is kept there, or a new one.
 *
 * @throws InnkeeperError `internal` when it belongs to another user
 */
export async function keptPassword(dataDir: string): Promise<string> {
  const path = join(dataDir, 'password')
  try {
    if ((await statOrNull(path)) === null) await keepNewPassword(path)
    return await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EACCES') throw cause
    throw new InnkeeperError('internal', `The data in ${dataDir} belongs to another user`, {
      hint: 'Start as that user or as root, or have that user remove it with a reset.',
      cause,
    })
  }
}

/** A link appears with all of its content and replaces nothing, so that two starts agree on one password. */
async function keepNewPassword(path: string): Promise<void> {
  const draft = `${path}-${randomUUID()}`
  await writeFile(draft, randomBytes(24).toString('base64url'), { mode: 0o600 })
  try {
    await link(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(draft)
  }
}
