import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { missing } from '../support/program.ts'
import { temporaryFolder } from '../support/temporary.ts'

const run = promisify(execFile)
const MODEL = fileURLToPath(new URL('./move.pml', import.meta.url))

/** Macros of the model: a weakening, the only invariant to look at, bounds. */
export type Macros = Readonly<Record<string, number | true>>

export interface Verdict {
  /** What the checker found, in its own words; null where everything was searched and nothing found. */
  readonly found: string | null
  readonly states: number
}

/** @returns false where the checker is missing: the caller skips */
export async function hasSpin(): Promise<boolean> {
  try {
    await Promise.all([run('spin', ['-V']), run('cc', ['--version'])])
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    missing('spin, or a C compiler,', 'apt-get install spin gcc')
    return false
  }
}

export interface Check {
  /** Looks for a run that never comes to the end, where the scheduler is fair, in place of a state that must not be. */
  readonly liveness?: boolean
  /** A weakened model may get stuck: that is not what it is asked about. */
  readonly stuckIsFine?: boolean
}

/**
 * Makes a checker of the model and runs it over all states: none is left out by hashing, and a search that reaches a bound
 * of depth or memory is an error.
 */
export async function checkModel(macros: Macros, check: Check = {}): Promise<Verdict> {
  const folder = await temporaryFolder('spin')
  try {
    return await searchIn(folder, macros, check)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function searchIn(
  cwd: string,
  macros: Macros,
  { liveness = false, stuckIsFine = false }: Check,
): Promise<Verdict> {
  const defined = Object.entries(macros).map(([name, value]) => (value === true ? `-D${name}` : `-D${name}=${value}`))
  await run('spin', [...(liveness ? ['-DLIVENESS'] : []), ...defined, '-a', MODEL], { cwd })
  const kind = liveness ? ['-DNFAIR=3'] : ['-DSAFETY']
  await run('cc', ['-O2', '-w', '-DCOLLAPSE', '-DMEMLIM=8000', ...kind, '-o', 'pan', 'pan.c'], { cwd })
  const flags = ['-m100000', '-n', ...(stuckIsFine ? ['-E'] : []), ...(liveness ? ['-a', '-f'] : [])]
  const { stdout } = await run('./pan', flags, { cwd, maxBuffer: 1 << 24 })
  const errors = /errors: (\d+)/.exec(stdout)?.[1]
  const states = Number(/^\s*(\d+) states, stored/m.exec(stdout)?.[1])
  if (errors !== '0') return { found: /^pan:1: (.*)$/m.exec(stdout)![1]!, states }
  if (/max search depth|out of memory|Search not completed/.test(stdout)) {
    throw new Error(`the search was not complete:\n${stdout}`)
  }
  return { found: null, states }
}
