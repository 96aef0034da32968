import { spawn } from 'node:child_process'
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
