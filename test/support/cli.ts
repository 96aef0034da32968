import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const BIN = fileURLToPath(new URL('../../gateway/cli/innkeeper.js', import.meta.url))

export interface CliResult {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface CliRunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** What is written to its input. */
  readonly input?: string
  /** Another copy's. */
  readonly bin?: string
  /** Another Node. */
  readonly node?: string
}

/** Runs the command line as a process of its own, without a terminal and with nothing of this environment but the path. */
export async function runCli(args: readonly string[], options: CliRunOptions = {}): Promise<CliResult> {
  const { env = {}, cwd = '/', input = '', bin = BIN, node = process.execPath } = options
  const child = spawn(node, [bin, ...args], { cwd, env: { PATH: process.env.PATH!, ...env } })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => (out += chunk))
  child.stderr.on('data', (chunk) => (err += chunk))
  child.stdin.end(input)
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  child.once('error', reject)
  child.once('close', (code) => resolve(code ?? -1))
  return { code: await promise, out, err }
}

/** Whether there is the program that {@link runInTerminal} needs: `script` as Linux has it. */
export const hasTerminals = String(spawnSync('script', ['--version']).stdout).includes('util-linux')

/**
 * Runs the command line in a terminal of its own.
 *
 * @param question what is waited for, before `keys` are pressed
 * @returns all that the terminal shows, as `out`
 */
export async function runInTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  question: string,
  keys: string,
): Promise<Omit<CliResult, 'err'>> {
  const command = [process.execPath, BIN, ...args].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: '/',
    env: { PATH: process.env.PATH!, SHELL: '/bin/sh', TERM: 'dumb', ...env },
  })
  let out = ''
  child.stdout.on('data', (chunk) => {
    const before = out
    out += chunk
    if (!before.includes(question) && out.includes(question)) child.stdin.write(keys)
  })
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  child.once('error', reject)
  child.once('close', (code) => resolve(code ?? -1))
  return { code: await promise, out }
}
