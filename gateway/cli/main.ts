import { cliEnvironment } from '../../config/environment.ts'
import { reportFailure } from './failure.ts'
import { createProgram } from './program.ts'
import { processTerminal } from './terminal.ts'

/**
 * Runs one command line.
 *
 * @param args what stands after the program's name
 * @returns the exit code
 */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode = 0
  const program = createProgram((code) => {
    exitCode = code
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    const { json = false, debug = false } = program.opts<{ json?: boolean; debug?: boolean }>()
    return reportFailure(error, processTerminal({ json, debug, noColor: cliEnvironment().noColor }))
  }
}
