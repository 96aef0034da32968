import { execFile } from 'node:child_process'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { InnkeeperError } from '../../../tiers/errors.ts'
import { type Account, canDo } from './account.ts'
import { programPath } from './binaries.ts'
import { THIS_PROCESS } from './half-made.ts'
import { isOwnFolder, sharedFolder } from './shared-folder.ts'
import type { PostgresBinaries } from './types.ts'

const run = promisify(execFile)

/** The binaries, or a copy of them when the account cannot run them where npm has installed them (below /root, say). */
export async function reachableBinaries(binaries: PostgresBinaries, account: Account): Promise<PostgresBinaries> {
  if (await canRun(binaries, account)) return binaries
  const copy = { ...binaries, root: join(sharedFolder(), `innkeeper-postgres-${binaries.version}`) }
  while (!(await isOwnFolder(copy.root, 0))) await copyWhole(binaries.root, copy.root)
  if (await canRun(copy, account)) return copy
  const program = programPath(copy, 'postgres')
  throw new InnkeeperError('internal', `PostgreSQL does not run as the user ${account.name}`, {
    details: program,
    hint: `See what this says: su -s /bin/sh ${account.name} -c '${program} --version'`,
  })
}

function canRun(binaries: PostgresBinaries, account: Account): Promise<boolean> {
  return canDo(account, '"$1" --version', programPath(binaries, 'postgres'))
}

/**
 * Other processes may be copying too: each copies to a name of its own, and a rename shows it whole or not at all. The
 * servers of one process, which start together, make one copy between them.
 */
async function copyWhole(from: string, to: string): Promise<void> {
  const half = `${to}.${THIS_PROCESS}`
  try {
    await mkdir(half, { mode: 0o755 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    await sleep(20)
    return
  }
  try {
    await run('cp', ['-pR', `${from}/.`, half])
    // Packages that were installed with a strict umask are readable to their owner only, and so would the copy be.
    await run('chmod', ['-R', 'a+rX,go-w', half])
    await run('chown', ['-R', '0:0', half])
    await rename(half, to)
  } catch (error) {
    await rm(half, { recursive: true, force: true })
    if (!(await isOwnFolder(to, 0))) throw error
  }
}
