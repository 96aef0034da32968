import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { InnkeeperError } from '../../../tiers/errors.ts'
import type { Place } from './place.ts'
import { freePort } from './port.ts'
import { isReady, logSince, spawnPostmaster } from './postmaster.ts'
import { isAlive, isPostmaster, readPidFile, stopPostmaster } from './process.ts'

/** A server that lets us in. */
export interface Running {
  readonly pid: number
  readonly port: number
  readonly isTakenOver: boolean
}

export interface Launch {
  readonly name: string
  readonly place: Place
  readonly settings: Readonly<Record<string, string | number>>
}

const ATTEMPTS_MAX = 25
const RETRY_AFTER_MS = 200

/**
 * The server on this data: the one that already runs, or else a new one.
 *
 * Someone may take the port between our look and the server's; another start may be quicker on the same data; and after
 * a SIGKILL the old backends need a moment to notice. All three are tried again.
 *
 * @param port preferred, or with `keepPort` the only one
 */
export async function launch(server: Launch, port?: number, keepPort = false): Promise<Running> {
  const { name, place, settings } = server
  let chosen = keepPort && port !== undefined ? port : await freePort(port)
  for (let attempt = 1; ; attempt++) {
    const found = await findRunning(server)
    if (found !== null) return found
    const spawned = await spawnPostmaster(place, chosen, settings)
    if (await readyOrStopped(spawned.pid, place, chosen)) {
      return { pid: spawned.pid, port: chosen, isTakenOver: false }
    }
    const log = await logSince(spawned)
    const isPortTaken = log.includes('could not bind')
    const isDataTaken = log.includes('pre-existing shared memory block') || log.includes('lock file')
    if (attempt === ATTEMPTS_MAX || !(isPortTaken || isDataTaken)) throw didNotStart(name, spawned.logPath, log)
    if (isPortTaken && !keepPort) chosen = await freePort()
    else await sleep(RETRY_AFTER_MS)
  }
}

/** Left by a start that was killed, or still coming up or going down; null when nothing is in the way of a new one. */
async function findRunning({ place }: Launch): Promise<Running | null> {
  for (;;) {
    const found = await readPidFile(place.data)
    if (found === null) return null
    if (!isPostmaster(found.pid, place.data)) return clearStalePidFile(place.data, found.pid)
    if (found.port !== null && (await isReady(found.pid, place.data, found.port, place.password))) {
      return { pid: found.pid, port: found.port, isTakenOver: true }
    }
    await sleep(20)
  }
}

/**
 * PostgreSQL clears up after a dead process itself. But when the number has gone to another process since, as it does
 * after a reboot or in a new container, it takes that for a server. The number is replaced by ours: that of the parent
 * counts as dead. The file stays, since it also tells whether backends of the dead one still use its shared memory.
 */
async function clearStalePidFile(data: string, pid: number): Promise<null> {
  if (!isAlive(pid)) return null
  const path = join(data, 'postmaster.pid')
  const [, ...rest] = (await readFile(path, 'utf8')).split('\n')
  await writeFile(path, [process.pid, ...rest].join('\n'))
  return null
}

/** A start that fails leaves nothing running. */
async function readyOrStopped(pid: number, place: Place, port: number): Promise<boolean> {
  try {
    return await isReady(pid, place.data, port, place.password)
  } catch (error) {
    await stopPostmaster(pid, place.data, 'immediate')
    throw error
  }
}

function didNotStart(name: string, logPath: string, log: string): InnkeeperError {
  return new InnkeeperError('internal', `The local PostgreSQL server ${name} did not start`, {
    details: log.trimEnd().split('\n').slice(-15).join('\n'),
    hint: `The whole log is in ${logPath}. Starting with --reset makes the server anew.`,
  })
}
