import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Account, serverAccount } from '../../gateway/dev/postgres/account.ts'
import { freePort } from '../../gateway/dev/postgres/port.ts'
import type { LocalPostgres } from '../../gateway/dev/postgres/types.ts'
import { missing, startProgram } from './program.ts'
import { temporaryFolder } from './temporary.ts'

export interface PgBouncerOptions {
  readonly server: LocalPostgres
  /** Names of databases that are reachable through it; all of the server's unless given. */
  readonly databases?: readonly string[]
  /** Passwords by user; the superuser's is always among them, and may ask the admin console (database `pgbouncer`). */
  readonly users?: Readonly<Record<string, string>>
  readonly poolMode?: 'transaction' | 'session' | 'statement'
  /** Further settings of pgbouncer.ini, such as `{ default_pool_size: 5 }`. */
  readonly settings?: Readonly<Record<string, string | number>>
}

export interface TestPgBouncer {
  readonly port: number
  url(database?: string, user?: string, password?: string): string
  stop(): Promise<void>
}

/** PgBouncer in front of a test server, or null when the machine has none: the caller skips. */
export async function startPgBouncer(options: PgBouncerOptions): Promise<TestPgBouncer | null> {
  const { server } = options
  const users: Record<string, string> = { [server.superuser]: server.password, ...options.users }
  const [account, port, folder] = await Promise.all([serverAccount(), freePort(), temporaryFolder('pgbouncer')])
  const list = Object.entries(users).map(([name, password]) => `${quote(name)} ${quote(password)}\n`)
  const userFile = await writeSecret(join(folder, 'users.txt'), list.join(''), account)
  const iniFile = await writeSecret(join(folder, 'pgbouncer.ini'), iniText(options, port, userFile), account)
  const asUser = account === null ? [] : ['-u', account.name]
  const program = await startProgram('pgbouncer', [...asUser, iniFile], port, folder)
  if (program === null) return missing('pgbouncer', 'apt-get install pgbouncer')
  return {
    port,
    url: (database = 'postgres', user = server.superuser, password = users[user] ?? '') =>
      `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    stop: program.stop,
  }
}

/** Names of databases stand as they are, since this format has no quotes. The list of users holds plain passwords, as SCRAM on both
 * sides needs them. */
function iniText(options: PgBouncerOptions, port: number, userFile: string): string {
  const { server, databases = ['*'], poolMode = 'transaction', settings = {} } = options
  const target = `host=${server.host} port=${server.port}`
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: userFile,
    admin_users: server.superuser,
    pool_mode: poolMode,
    max_client_conn: 500,
    ...settings,
  }
  return [
    '[databases]',
    ...databases.map((name) => `${name} = ${target}`),
    '[pgbouncer]',
    ...Object.entries(all).map(([name, value]) => `${name} = ${value}`),
    '',
  ].join('\n')
}

const quote = (text: string) => `"${text.replaceAll('"', '""')}"`

async function writeSecret(path: string, text: string, account: Account | null): Promise<string> {
  await writeFile(path, text, { mode: 0o600 })
  if (account !== null) await chown(path, account.uid, account.gid)
  return path
}
