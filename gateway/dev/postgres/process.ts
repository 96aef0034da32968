import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** How long clients may take to be disconnected and the last checkpoint to be written. */
const FAST_STOP_MS = 5_000
const IMMEDIATE_STOP_MS = 10_000

/** What a running postmaster says of itself in its data folder. */
export interface PidFile {
  readonly pid: number
  /** Null while it has not got as far as opening its socket. */
  readonly port: number | null
}

/** Reads postmaster.pid, whose lines are: pid, data folder, start time, port, and more; null when there is none. */
export async function readPidFile(data: string): Promise<PidFile | null> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const [pid, , , port] = text.split('\n')
  if (!pid || !(Number(pid) > 1)) return null
  return { pid: Number(pid), port: port ? Number(port) : null }
}

/**
 * Whether the process is a postmaster on this very data: process ids are reused, so a number alone says nothing. It has
 * the data folder on its command line and, soon after its start, as its current folder, which is right even when the
 * folder has been renamed since.
 */
export function isPostmaster(pid: number, data: string): boolean {
  const [program, ...args] = commandLine(pid)
  if (program === undefined || basename(program) !== 'postgres') return false
  return args.includes(data) || currentFolder(pid) === data
}

function commandLine(pid: number): string[] {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .split(' ')
  } catch {
    // Both fail for a process that is gone, which is what an empty command line says.
    return []
  }
}

function currentFolder(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    // Not Linux, not ours, or gone.
    return null
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Sends the signal; a process that is gone already is as good as one that was reached. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** The process and its children. Backends lead process groups of their own, so no signal to a group reaches them. */
export function familyOf(pid: number): number[] {
  const list = `/proc/${pid}/task/${pid}/children`
  if (!existsSync(list)) return [pid]
  return [pid, ...readFileSync(list, 'utf8').split(' ').filter(Boolean).map(Number)]
}

/**
 * The same, with everything in it frozen when it returns: while one of them runs another may be born, and the list of
 * children leaves some out while any of them ends.
 */
export function frozenFamilyOf(pid: number): number[] {
  for (;;) {
    const isListWhole = isStill(pid)
    const family = familyOf(pid)
    if (isListWhole && family.every(isStill)) return family
    for (const each of family) signal(each, 'SIGSTOP')
    // A signal takes effect when its process is given a processor.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
  }
}

/** Frozen, or ended and not taken note of yet. */
function isStill(pid: number): boolean {
  try {
    return /\) [TZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    // Gone, or not Linux, where there is no telling.
    return true
  }
}

/** Stops it: in order first, then at once (it recovers from its log at the next start), then by force. */
export async function stopPostmaster(pid: number, data: string, mode: 'fast' | 'immediate'): Promise<void> {
  if (!isPostmaster(pid, data)) return
  // A frozen one would not hear of it.
  for (const each of familyOf(pid)) signal(each, 'SIGCONT')
  if (mode === 'fast') {
    signal(pid, 'SIGINT')
    if (await isGoneWithin(pid, data, FAST_STOP_MS)) return
  }
  signal(pid, 'SIGQUIT')
  if (await isGoneWithin(pid, data, IMMEDIATE_STOP_MS)) return
  signal(pid, 'SIGKILL')
  await isGoneWithin(pid, data, IMMEDIATE_STOP_MS)
}

/** Waits until the postmaster is gone. @returns false when `timeoutMs` ran out before */
async function isGoneWithin(pid: number, data: string, timeoutMs: number): Promise<boolean> {
  const until = performance.now() + timeoutMs
  while (isPostmaster(pid, data)) {
    if (performance.now() > until) return false
    await sleep(20)
  }
  return true
}
