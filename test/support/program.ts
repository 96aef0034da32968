import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { whenWeDie } from './guard.ts'
import { waitUntil } from './wait.ts'

export interface Program {
  readonly pid: number
  /** Kills it and waits for its end. Stopping a stopped one does nothing. */
  stop(): Promise<void>
}

/**
 * Starts a server program of the machine's and waits until its port on 127.0.0.1 is open. Neither it nor its folder
 * outlives this process.
 *
 * @param folder is removed when it stops
 * @returns null when there is no such program on the PATH
 */
export async function startProgram(
  command: string,
  args: string[],
  port: number,
  folder: string,
): Promise<Program | null> {
  // Debian installs PgBouncer where only root's PATH leads.
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }
  const child = spawn(command, args, { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'] })
  const removeFolder = () => rm(folder, { recursive: true, force: true })
  if (!(await hasStarted(child))) return removeFolder().then(() => null)
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  const callOff = whenWeDie('kill -9 "$1"; rm -rf "$2"', String(child.pid), folder)
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const stop = async () => {
    callOff()
    if (child.kill('SIGKILL')) await once(child, 'exit')
    await removeFolder()
  }
  try {
    await waitUntil(`${command} on port ${port}`, async () => {
      if (hasEnded()) throw new Error(`${command} ended instead of starting:\n${output}`)
      return isOpen(port)
    })
  } catch (error) {
    await stop()
    throw error
  }
  return { pid: child.pid!, stop }
}

/** Says how to get what a test needs and is missing; with INNKEEPER_NO_SKIP=1 nothing may be missing. */
export function missing(what: string, howToGet: string): null {
  const text = `${what} is not on this machine: ${howToGet}`
  if (process.env.INNKEEPER_NO_SKIP === '1') throw new Error(text)
  console.warn(`skipped: ${text}`)
  return null
}

async function hasStarted(child: ChildProcess): Promise<boolean> {
  try {
    await once(child, 'spawn')
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

async function isOpen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(port, '127.0.0.1', () => resolve(true))
  socket.once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}
