import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import { InnkeeperError } from '../../../tiers/errors.ts'

const run = promisify(execFile)

/** The operating system's user that a server runs as; without one it is ours. */
export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root, and needs a user that the system knows. In this order, the first that there is. */
const NAMES = ['postgres', 'innkeeper', 'nobody'] as const

/**
 * The account to run PostgreSQL as: null (our own) unless we are root.
 *
 * @throws InnkeeperError `internal` when root has no other user to be found or made
 */
export async function serverAccount(): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null
  const existing = (await lookUp('postgres')) ?? (await lookUp('innkeeper'))
  if (existing !== null) return existing
  // No useradd, or a read-only /etc: `nobody` will do, and is tried next. Another start may also just have made it.
  spawnSync('useradd', ['--system', '--no-create-home', '--home-dir', '/nonexistent', 'innkeeper'], { stdio: 'ignore' })
  for (const name of NAMES) {
    const account = await lookUp(name)
    if (account !== null) return account
  }
  throw new InnkeeperError('internal', 'PostgreSQL does not run as root, and no other user was found', {
    hint: 'Run this as an ordinary user, or create one: useradd --system postgres',
  })
}

async function lookUp(name: string): Promise<Account | null> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch (error) {
    // `id` ends with 1 for a name it does not know; anything else (no `id` at all) is a fault of the machine.
    if ((error as { code?: unknown }).code === 1) return null
    throw error
  }
}

/** The part of spawn's options that makes a child run as the account, in a clean environment. */
export function asAccount(account: Account | null) {
  return {
    // The inherited folder may be one that the account cannot enter.
    cwd: '/',
    // PGDATA, PGPORT and the like of the caller's shell must not reach the server; TZ spares initdb a search.
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    ...(account === null ? {} : { uid: account.uid, gid: account.gid }),
  }
}

/** Whether the account can do what the shell text says; its arguments are `$1`, `$2`. It is tried, not computed. */
export async function canDo(account: Account, shellText: string, ...args: string[]): Promise<boolean> {
  try {
    await run('/bin/sh', ['-c', shellText, 'sh', ...args], asAccount(account))
    return true
  } catch (error) {
    if (typeof (error as { code?: unknown }).code === 'number') return false
    throw error
  }
}
