import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chown, mkdir, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Account, canDo, serverAccount } from './account.ts'
import { reachableBinaries } from './copied-binaries.ts'
import { halfMadeName } from './half-made.ts'
import { keptPassword } from './password.ts'
import { readPidFile, stopPostmaster } from './process.ts'
import { makeOwnFolder, sharedFolder, statOrNull } from './shared-folder.ts'
import type { PostgresBinaries } from './types.ts'

/** Who runs a server, and from where. */
export interface Place {
  /** The real path of the folder that was asked for: it holds the password and the log. */
  readonly dataDir: string
  /** The superuser's. */
  readonly password: string
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
  const password = await keptPassword(dataDir)
  const ordinary = await serverAccount()
  if (ordinary === null) {
    await mkdir(home, { recursive: true, mode: 0o700 })
    return { dataDir, password, account: null, home, data: join(home, 'data'), binaries }
  }
  const account = await ownerOf(home, ordinary)
  const reachable = await reachableHome(home, dataDir, elsewhere(dataDir, password), account)
  const data = join(reachable, 'data')
  return { dataDir, password, account, home: reachable, data, binaries: await reachableBinaries(binaries, account) }
}

/** Every folder that the data can be in, for the real path of the folder that was asked for. */
export async function homesOf(dataDir: string): Promise<string[]> {
  return [join(dataDir, 'server'), elsewhere(dataDir, await keptPassword(dataDir))]
}

/**
 * Where the data is put when it cannot be kept where it was asked for. The password tells apart the folders that have
 * been made anew at the same path, one after another: data never meets a password that is not its own.
 */
function elsewhere(dataDir: string, password: string): string {
  const hash = createHash('sha256').update(`${dataDir}\n${password}`).digest('hex').slice(0, 16)
  return join(sharedFolder(), `innkeeper-${hash}`)
}

/** Data that an ordinary user has made before goes on being served as that user, since only its owner may. */
async function ownerOf(home: string, account: Account): Promise<Account> {
  const found = await statOrNull(home)
  if (found === null || found.uid === 0 || found.uid === account.uid) return account
  return { name: `with id ${found.uid}`, uid: found.uid, gid: found.gid }
}

async function reachableHome(home: string, dataDir: string, away: string, account: Account): Promise<string> {
  if ((await statOrNull(home)) === null) {
    // Another start may be making it at the same time.
    await mkdir(home, { mode: 0o700, recursive: true })
    await chown(home, account.uid, account.gid)
  }
  const isAway = (await statOrNull(join(away, 'data'))) !== null
  if (!isAway && (await canDo(account, 'cd "$1" && test -w .', home))) return home
  await makeOwnFolder(away, account)
  if (!isAway) await bringAlong(home, away)
  await writeFile(
    join(dataDir, NOTE),
    `${away}\n\nPostgreSQL does not run as root, and the user ${account.name}, whom it runs as instead, cannot enter\n` +
      'this folder. So its data is in the folder named above. It is removed with this one by a reset.\n',
  )
  return away
}

/** Data that was made while the account could still enter: the folder has been moved, or closed to others, since. */
async function bringAlong(home: string, away: string): Promise<void> {
  const [from, to] = [join(home, 'data'), join(away, 'data')]
  if ((await statOrNull(from)) === null) return
  const running = await readPidFile(from)
  if (running !== null) await stopPostmaster(running.pid, from, 'fast')
  const half = halfMadeName(away)
  await promisify(execFile)('cp', ['-pR', from, half])
  await rename(half, to)
  await rm(from, { recursive: true })
}
