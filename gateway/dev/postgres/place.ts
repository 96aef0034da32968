import { createHash, randomUUID } from 'node:crypto'
import { accessSync, constants } from 'node:fs'
import { chown, cp, lstat, mkdir, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InnkeeperError } from '../../../tiers/errors.ts'
import { type Account, canDo, serverAccount } from './account.ts'
import { programPath } from './binaries.ts'
import type { PostgresBinaries } from './types.ts'

/** Who runs a server, and from where. */
export interface Place {
  readonly account: Account | null
  /** The folder that the data folder stands in, writable to the account. */
  readonly home: string
  /** PGDATA. */
  readonly data: string
  readonly binaries: PostgresBinaries
}

const NOTE = 'DATA-IS-ELSEWHERE.txt'

/**
 * Decides where a server's data and binaries are. An ordinary user has both where they were asked for. Root's server
 * runs as another user, who may be unable to enter the folder asked for (below /root, say) or the one that the
 * packages are installed in; each that cannot be entered is then put where that user can.
 */
export async function choosePlace(asked: string, binaries: PostgresBinaries): Promise<Place> {
  await mkdir(asked, { recursive: true, mode: 0o755 })
  // A running server is recognised by the path on its command line, so there may be only one way to write it.
  const dataDir = await realpath(asked)
  const home = join(dataDir, 'server')
  const account = await serverAccount()
  if (account === null) {
    await mkdir(home, { recursive: true, mode: 0o700 })
    return { account, home, data: join(home, 'data'), binaries }
  }
  const owner = await accountOf(home, account)
  const reachable = await reachableHome(home, dataDir, owner)
  return {
    account: owner,
    home: reachable,
    data: join(reachable, 'data'),
    binaries: await reachableBinaries(binaries, owner),
  }
}

/** Both folders that a server's data can be in, for the real path of the folder that was asked for. */
export function placesOf(dataDir: string): { home: string; data: string }[] {
  return [join(dataDir, 'server'), elsewhere(dataDir)].map((home) => ({ home, data: join(home, 'data') }))
}

/** Where the data of a folder (its real path) is put when it cannot be kept in it. */
function elsewhere(dataDir: string): string {
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 16)
  return join(sharedFolder(), `innkeeper-${hash}`)
}

/** Data that an ordinary user has made before goes on being served as that user, since only its owner may. */
async function accountOf(home: string, account: Account): Promise<Account> {
  const found = await statOrNull(home)
  if (found === null || found.uid === 0 || found.uid === account.uid) return account
  return { name: `with id ${found.uid}`, uid: found.uid, gid: found.gid }
}

async function reachableHome(home: string, dataDir: string, account: Account): Promise<string> {
  if ((await statOrNull(home)) === null) {
    await mkdir(home, { mode: 0o700 })
    await chown(home, account.uid, account.gid)
  }
  if (await canDo(account, 'cd "$1" && test -w .', home)) return home
  const away = elsewhere(dataDir)
  await ownFolder(away, account)
  await writeFile(
    join(dataDir, NOTE),
    `${away}\n\nPostgreSQL does not run as root, and the user ${account.name}, whom it runs as instead, cannot enter\n` +
      'this folder. So its data is in the folder named above. It is removed with this one by a reset.\n',
  )
  return away
}

async function reachableBinaries(binaries: PostgresBinaries, account: Account): Promise<PostgresBinaries> {
  if (await canDo(account, '"$1" --version', programPath(binaries, 'postgres'))) return binaries
  const root = join(sharedFolder(), `innkeeper-postgres-${binaries.version}`)
  const copy = { ...binaries, root }
  if (!(await isOwnFolder(root, 0))) {
    // Two starts may copy at the same time, so each copies to a name of its own; a rename shows it whole or not at all.
    const half = `${root}.${randomUUID()}`
    await cp(binaries.root, half, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE })
    await rename(half, root).catch(async (error: NodeJS.ErrnoException) => {
      await rm(half, { recursive: true, force: true })
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
    await isOwnFolder(root, 0)
  }
  if (await canDo(account, '"$1" --version', programPath(copy, 'postgres'))) return copy
  throw new InnkeeperError('internal', `PostgreSQL does not run as the user ${account.name}`, {
    details: programPath(copy, 'postgres'),
    hint: `See what this says: su -s /bin/sh ${account.name} -c '${programPath(copy, 'postgres')} --version'`,
  })
}

/** /var/tmp is swept of old files on some machines, which would leave half a database: it is the second choice. */
function sharedFolder(): string {
  try {
    accessSync('/var/lib', constants.W_OK)
    return '/var/lib'
  } catch {
    return '/var/tmp'
  }
}

async function ownFolder(path: string, { uid, gid }: Account): Promise<void> {
  if (await isOwnFolder(path, uid)) return
  await mkdir(path, { mode: 0o700 })
  await chown(path, uid, gid)
}

/** In a folder that everybody can write to, someone may have put theirs under our name first: that is refused. */
async function isOwnFolder(path: string, uid: number): Promise<boolean> {
  const found = await statOrNull(path)
  if (found === null) return false
  if (found.isDirectory() && found.uid === uid && (found.mode & 0o022) === 0) return true
  throw new InnkeeperError('internal', `${path} is there already, and is not ours`, { hint: 'Remove it.' })
}

async function statOrNull(path: string) {
  return lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
}
