import { spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { InnkeeperError } from '../../../tiers/errors.ts'
import { asAccount } from './account.ts'
import { programPath } from './binaries.ts'
import type { Place } from './place.ts'
import { isPostmaster } from './process.ts'

export const HOST = '127.0.0.1'
/** Long, because a server that was killed first replays what it had not written. */
const READY_WITHIN_MS = 60_000
const REFUSALS_MAX = 3
const LOG_BYTES_MAX = 10_000_000

export interface Spawned {
  readonly pid: number
  readonly logPath: string
  readonly logBytesBefore: number
}

/**
 * Starts a postmaster and does not wait for it. It leads a session of its own, so that a Ctrl-C in the terminal never
 * reaches it: what was started stops it, in order, when its own clients are done.
 */
export async function spawnPostmaster(
  place: Place,
  port: number,
  settings: Readonly<Record<string, string | number>>,
): Promise<Spawned> {
  const logPath = join(place.dataDir, 'postgres.log')
  const log = await open(logPath, 'a', 0o600)
  try {
    // Whose data it is must be able to start it without root the next time.
    if (place.account !== null) await log.chown(place.account.uid, place.account.gid)
    if ((await log.stat()).size > LOG_BYTES_MAX) await log.truncate()
    const logBytesBefore = (await log.stat()).size
    const child = spawn(programPath(place.binaries, 'postgres'), ['-D', place.data, ...flags(port, settings)], {
      ...asAccount(place.account),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    })
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    child.unref()
    return { pid: child.pid!, logPath, logBytesBefore }
  } finally {
    await log.close()
  }
}

/** Loopback only, and no Unix socket: its folder would have to be writable for the server's user, and short. */
function flags(port: number, settings: Readonly<Record<string, string | number>>): string[] {
  const all = { listen_addresses: HOST, port, unix_socket_directories: '', timezone: 'UTC', ...settings }
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/**
 * Waits until the postmaster lets the superuser in.
 *
 * @returns false when it has ended instead
 * @throws InnkeeperError `internal` when it refuses the password that is kept, or is not ready in time
 */
export async function isReady(pid: number, data: string, port: number, password: string): Promise<boolean> {
  const until = performance.now() + READY_WITHIN_MS
  let refusals = 0
  while (isPostmaster(pid, data)) {
    const error = await tryToConnect(port, password)
    if (error === null) return true
    // One refusal may come from a stranger on the port, while ours is about to end because it could not have it.
    if ((error as { code?: string }).code === '28P01') refusals++
    if (refusals === REFUSALS_MAX) throw refusal(data, error)
    if (performance.now() > until) throw notInTime(data, error)
    await sleep(refusals === 0 ? 20 : 200)
  }
  return false
}

async function tryToConnect(port: number, password: string): Promise<Error | null> {
  const client = new pg.Client({ host: HOST, port, user: 'postgres', password, connectionTimeoutMillis: 5_000 })
  // Without a listener, a server that ends between two messages would end this process as well.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.end()
    return null
  } catch (error) {
    return error as Error
  }
}

function refusal(data: string, cause: Error): InnkeeperError {
  return new InnkeeperError('internal', `The server on ${data} does not take the password that is kept for it`, {
    hint: 'Start with --reset, which makes it anew.',
    cause,
  })
}

function notInTime(data: string, cause: Error): InnkeeperError {
  return new InnkeeperError('internal', `The server on ${data} was not ready within ${READY_WITHIN_MS / 1000} s`, {
    cause,
  })
}

/** What the server has written since it was spawned. */
export async function logSince({ logPath, logBytesBefore }: Spawned): Promise<string> {
  return (await readFile(logPath)).subarray(logBytesBefore).toString()
}
